"""Runs that start from checkpoints of YOLOv8 and YOLO11: equal outputs at the first step, kept boxes, frozen base."""

from pathlib import Path

import pytest
import torch

import attendet
from attendet.errors import WeightsError
from attendet.models.detector import Detector
from attendet.training.training_model import TrainingModel, build_training_model
from tests.helpers.checkpoints.anchor_free_checkpoints import anchor_free_file, checkpoint, network, save
from tests.helpers.small_training import small

NAMES = tuple(f"class {number}" for number in range(80))


def trained(model: str, num_classes: int = 80) -> Detector:
    """Return a detector whose batch norms have statistics, and whose biases differ from a new detector's."""
    torch.manual_seed(0)
    detector = attendet.build(model, num_classes)
    for key, value in detector.state_dict().items():
        if value.ndim == 1:
            value.copy_(torch.rand_like(value) + 0.5 if key.endswith(("var", "weight")) else torch.randn_like(value))
    return detector.train(False)


def build(tmp_path: Path, weights: Path, names: tuple[str, ...] = NAMES, **settings: object) -> TrainingModel:
    config = small(
        Path("data.yaml"), weights, tmp_path, **{"model__cfg": None, **settings}, model__weights=str(weights)
    )
    return build_training_model(config, names)


@pytest.mark.parametrize("model", ["yolov8n", "yolo11n"])
@pytest.mark.parametrize("half", [True, False])
@torch.no_grad()
def test_attention_changes_no_output_at_the_first_step(tmp_path: Path, model: str, half: bool) -> None:
    detector = trained(model)
    weights = anchor_free_file(tmp_path / f"{model}.pt", detector, model, dict(enumerate(NAMES)), half=half)
    images = torch.rand(1, 3, 64, 96)
    expected = (detector.half().float() if half else detector)(images)
    starts = [
        build(tmp_path, weights),
        build(tmp_path, weights, model__attention=["cbam@neck"]),
        build(
            tmp_path,
            weights,
            model__attention=["se:reduction=4@inside:C2f" if model == "yolov8n" else "se:reduction=4@after:C3k2"],
        ),
        build(tmp_path, weights, model__cfg=f"{model}_CBAM.yaml"),
        build(tmp_path, weights, model__cfg=f"{model}_CBAM-neck.yaml"),
    ]
    kept = len(detector.state_dict())
    for start in starts:
        text = "\n".join(start.notes)
        assert f"kept {kept} of" in text
        assert "dropped" not in text
        assert start.pretrained
        for level, before in zip(start.detector.train(False)(images), expected, strict=True):
            assert torch.equal(level, before)
    assert [len(start.detector.state_dict()) > kept for start in starts] == [False, True, True, True, True]
    assert not any("yaml_file" in note for note in starts[0].notes)


@torch.no_grad()
def test_other_classes_keep_the_boxes_and_the_classes_of_the_same_name(tmp_path: Path) -> None:
    detector = trained("yolov8s")
    weights = anchor_free_file(tmp_path / "yolov8s.pt", detector, "yolov8s", NAMES, half=False)
    start = build(tmp_path, weights, ("class 5", "RBC", "class 2"), model__cfg="yolov8s.yaml")
    assert any("reshaped: 6 tensors, loaded in part (row 22)" in note for note in start.notes)
    images = torch.rand(1, 3, 64, 96)
    for raw, before in zip(start.detector.train(False)(images), detector(images), strict=True):
        assert torch.equal(raw[:, :64], before[:, :64])
        # With another number of output channels, the convolution sums in another order.
        torch.testing.assert_close(raw[:, [64, 66]], before[:, [64 + 5, 64 + 2]], rtol=1e-4, atol=1e-4)


def test_a_frozen_base_with_new_classes_trains_the_head_but_not_its_constant(tmp_path: Path) -> None:
    weights = anchor_free_file(tmp_path / "yolov8n.pt", trained("yolov8n"), "yolov8n", NAMES)
    start = build(tmp_path, weights, ("a", "b"), model__freeze="base")
    trained_keys = {key for key, parameter in start.detector.named_parameters() if parameter.requires_grad}
    head = {key for key, _ in start.detector.named_parameters() if key.startswith("model.22.")}
    assert trained_keys == head - {"model.22.dfl.conv.weight"}


def test_an_activation_that_no_model_file_names_is_refused_or_noted(tmp_path: Path) -> None:
    model = network(trained("yolov8n"), "yolov8n", NAMES)
    model.get_submodule("model.9.cv1").act = torch.nn.Identity()
    weights = save(checkpoint(model), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"has Identity at model\.9\.cv1\.act, but its model file does not"):
        build(tmp_path, weights)
    start = build(tmp_path, weights, model__cfg="yolov8n_CBAM.yaml")
    assert any("activations: 1 layer with Identity in the file (row 10)" in note for note in start.notes)
