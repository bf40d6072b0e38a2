"""Detectors from checkpoints of YOLOv8 and YOLO11, compared with the outputs of the originals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

import attendet
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.errors import WeightsError
from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector
from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.anchor_free_checkpoints import anchor_free_file, checkpoint, network, pickled, save
from tests.helpers.oracles import Oracle, oracle_weights, yolo_images

NAMES = [f"class {number}" for number in range(80)]
SCALES = {"n": [0.33, 0.25, 1024], "s": [0.33, 0.5, 1024], "m": [0.67, 0.75, 768]}
ORACLES = {"yolov8n": ("yolov8n", 80), "yolov8n_nc3": ("yolov8n", 3), "yolo11n": ("yolo11n", 80)}


def original(model: str, num_classes: int = 80) -> Detector:
    """Return a detector with the weights of the oracles."""
    detector = attendet.build(model, num_classes)
    state = detector.state_dict()
    constant = {key: value for key, value in state.items() if "dfl" in key}
    detector.load_state_dict({**oracle_weights(state, ".bn.weight"), **constant})
    return detector.train(False)


@pytest.fixture(scope="module")
def yolov8n() -> Detector:
    return original("yolov8n")


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("averaged", [True, False])
@torch.no_grad()
def test_predictions_equal_the_originals(
    tmp_path: Path, oracle: Callable[[str], Oracle], name: str, averaged: bool
) -> None:
    model, num_classes = ORACLES[name]
    names = {number: f"class {number}" for number in range(num_classes)}
    detector = original(model, num_classes)
    path = anchor_free_file(tmp_path / "best.pt", detector, model, names, averaged=averaged, half=False)
    opened = attendet.open(path)
    assert (opened.names, opened.imgsz) == (tuple(names.values()), 320)
    expected = oracle(name)
    decoded = opened.detector.decode(opened.detector(yolo_images()))
    assert expected.difference("decoded", decoded.transpose(1, 2)) < 1e-4
    # The file has no anchors, and nothing else than the original's tensors.
    shapes = {key: list(value.shape) for key, value in read_checkpoint(path).tensors.items()}
    assert shapes == {key: shape for key, (shape, _) in expected.settings["state_dict"].items()}


def test_half_precision_becomes_single(tmp_path: Path, yolov8n: Detector) -> None:
    detector = attendet.open(anchor_free_file(tmp_path / "a.pt", yolov8n, "yolov8n", NAMES)).detector
    state = yolov8n.state_dict()
    for key, value in detector.state_dict().items():
        assert value.dtype == state[key].dtype
        assert torch.equal(value, state[key].half().to(value.dtype)), key


@pytest.mark.parametrize("size", ["n", ""])
def test_the_size_comes_from_the_model_file_in_the_checkpoint(tmp_path: Path, yolov8n: Detector, size: str) -> None:
    """A file whose name had no size is built with the first one, regardless of the name of the checkpoint."""
    model = network(yolov8n, "yolov8n", NAMES, scale=size, scales=SCALES)
    path = save(checkpoint(model), tmp_path / "yolov8s_mine.pt")
    opened = attendet.open(path)
    assert sum(parameter.numel() for parameter in opened.detector.parameters()) == 3_157_200
    assert "yaml_file" not in opened.card.text


def test_a_checkpoint_of_an_unfinished_run_has_an_object_of_settings(tmp_path: Path, yolov8n: Detector) -> None:
    content = checkpoint(network(yolov8n, "yolov8n", NAMES))
    content["train_args"] = content["ema"].args
    path = save(content, tmp_path / "last.pt")
    assert attendet.open(path).imgsz == 320
    assert read_checkpoint(path).training["train_args"] == {"imgsz": 320, "lr0": 0.01}


@pytest.mark.parametrize("model", ["yolov8n", "yolov8n_CBAM-neck", "yolo11n", "yolo11n_CBAM"])
@pytest.mark.parametrize("constant", [True, False])
def test_a_state_dict_of_a_bundled_model(tmp_path: Path, model: str, constant: bool) -> None:
    state = attendet.build(model, num_classes=2).state_dict()
    kept = {key: value for key, value in state.items() if constant or "dfl" not in key}
    assert len(state) - len(kept) == (not constant)
    torch.save(kept, tmp_path / "a.pt")
    save_file(kept, tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        opened = attendet.open(tmp_path / name)
        assert (opened.card.model, opened.names) == (model, ("0", "1"))
        assert all(torch.equal(value, state[key]) for key, value in opened.detector.state_dict().items())
        report = attendet.load_weights(attendet.build(model, num_classes=2), tmp_path / name)
        assert (len(report.kept), report.new, report.dropped) == (len(state), (), ())


def test_other_distances_of_the_distribution_are_not_ignored(tmp_path: Path, yolov8n: Detector) -> None:
    model = network(yolov8n, "yolov8n", NAMES)
    model.get_parameter("model.22.dfl.conv.weight").data.mul_(2)
    path = save(checkpoint(model), tmp_path / "a.pt")
    with pytest.raises(
        WeightsError, match=r"do not match the model yolov8n: .*reshaped: 1 tensor, not loaded \(row 22"
    ):
        attendet.open(path)


@pytest.mark.parametrize("model", ["yolov8n", "yolo11n"])
@torch.no_grad()
def test_inserted_attention_starts_as_identity(tmp_path: Path, model: str) -> None:
    detector = original(model)
    path = anchor_free_file(tmp_path / "a.pt", detector, model, NAMES, half=False)
    images = torch.rand(1, 3, 64, 96)
    expected, tensors = detector(images), len(detector.state_dict())
    inserted = [attendet.build(f"{model}{ending}", start="identity") for ending in ("_CBAM", "_CBAM-neck")]
    attached = attendet.build(model)
    attendet.attach(attached, "cbam", ["neck", "before:SPPF"])
    for other in (*inserted, attached):
        report = attendet.load_weights(other, path)
        assert (len(report.kept), report.dropped, report.reshaped) == (tensors, (), ())
        assert report.new
        raw = other.train(False)(images)
        assert all(torch.equal(level, before) for level, before in zip(raw, expected, strict=True))


@torch.no_grad()
def test_other_classes_keep_boxes_and_the_classes_of_the_same_name(tmp_path: Path) -> None:
    """In size s, the branch of classes has 128 channels for 3 and for 80 classes."""
    detector = attendet.build("yolov8s").train(False)
    path = anchor_free_file(tmp_path / "yolov8s.pt", detector, "yolov8s", NAMES, half=False)
    other = attendet.build("yolov8s", num_classes=3).train(False)
    report = attendet.load_weights(other, path, names=["class 7", "class 100", "class 0"])
    assert report.reshaped == report.merged
    assert {key.split(".", 2)[2] for key in report.reshaped} == {
        f"cv3.{level}.2.{name}" for level in range(3) for name in ("weight", "bias")
    }
    assert len(report.kept) == len(detector.state_dict()) - 6
    images = torch.rand(1, 3, 64, 96)
    for raw, before in zip(other(images), detector(images), strict=True):
        assert torch.equal(raw[:, :64], before[:, :64])
        # With another number of output channels, the convolution sums in another order.
        torch.testing.assert_close(raw[:, [64, 66]], before[:, [64 + 7, 64]], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_branch_of_classes_of_another_width_starts_new(tmp_path: Path, yolov8n: Detector) -> None:
    """In size n, the branch of classes has 80 channels for 80 classes, and 64 for 3."""
    path = anchor_free_file(tmp_path / "yolov8n.pt", yolov8n, "yolov8n", NAMES, half=False)
    other = attendet.build("yolov8n", num_classes=3).train(False)
    fresh = {key: value.clone() for key, value in other.state_dict().items()}
    report = attendet.load_weights(other, path, names=["class 7", "class 100", "class 0"])
    assert "reshaped: 42 tensors, not loaded (row 22)" in str(report)
    assert {key.split(".")[2] for key in report.reshaped} == {"cv3"}
    assert all(torch.equal(other.state_dict()[key], fresh[key]) for key in report.reshaped)
    images = torch.rand(1, 3, 64, 96)
    for raw, before in zip(other(images), yolov8n(images), strict=True):
        assert torch.equal(raw[:, :64], before[:, :64])


def test_an_activation_that_the_model_file_does_not_name_is_refused(tmp_path: Path, yolov8n: Detector) -> None:
    """A later family has no activation in the first convolution of SPPF, and the same model file."""
    model = network(yolov8n, "yolov8n", NAMES)
    rows = model.get_submodule("model")
    rows.get_submodule("9.cv1").act = nn.Identity()
    path = save(checkpoint(model), tmp_path / "a.pt")
    message = r"the model of the file has Identity at model\.9\.cv1\.act, but its model file does not"
    with pytest.raises(WeightsError, match=message):
        attendet.open(path)
    # In another model, the user chose the activations; the report names the difference.
    report = attendet.load_weights(attendet.build("yolov8n_CBAM"), path)
    assert report.activations == (("model.10.cv1.act", "Identity"),)
    assert not report.complete
    assert "activations: 1 layer with Identity in the file (row 10)" in str(report).splitlines()


def test_an_activation_that_the_model_file_names_is_built(tmp_path: Path, yolov8n: Detector) -> None:
    model = network(yolov8n, "yolov8n", NAMES, activation="nn.ReLU()")
    for module in list(model.modules()):
        if isinstance(getattr(module, "act", None), nn.SiLU):
            module.act = nn.ReLU()
    opened = attendet.open(save(checkpoint(model), tmp_path / "a.pt"))
    kinds = {type(module) for module in opened.detector.modules()}
    assert nn.ReLU in kinds
    assert nn.SiLU not in kinds


@pytest.mark.parametrize(
    ("task", "head", "reason"),
    [
        ("SegmentationModel", ["Segment", ["nc", 32, 256]], "'Segment': a head for segmentation"),
        ("PoseModel", ["Pose", ["nc", [17, 3]]], "'Pose': a head for key points"),
        ("OBBModel", ["OBB", ["nc", 1]], "'OBB': a head for rotated boxes"),
        ("ClassificationModel", ["Classify", ["nc"]], "'Classify': a head for classification"),
        ("YOLOv10DetectionModel", ["v10Detect", ["nc"]], "'v10Detect': a head with a second assignment"),
    ],
)
def test_a_model_of_another_task_is_named(
    tmp_path: Path, yolov8n: Detector, task: str, head: list[object], reason: str
) -> None:
    rows = yaml.safe_load(bundled_text("yolov8n"))["head"]
    model = network(yolov8n, "yolov8n", NAMES, task=task, head=[*rows[:-1], [[15, 18, 21], 1, *head]])
    path = save(checkpoint(model), tmp_path / "other.pt")
    with pytest.raises(WeightsError) as caught:
        attendet.open(path)
    message = str(caught.value)
    assert f"the model of the file (ultralytics.nn.tasks.{task}) cannot be built" in message
    assert f"row 22: attendet does not have {reason}" in message
    assert "attendet train --cfg MODEL --weights FILE" in message
    # The remedy works: the rows before the head, and the boxes of the head, are the same.
    report = attendet.load_weights(attendet.build("yolov8n"), path)
    assert len(report.kept) == len(yolov8n.state_dict())


def test_a_constant_alone_does_not_count_as_a_weight(tmp_path: Path, yolov8n: Detector) -> None:
    """In a file whose batch norms were merged into the convolutions, no layer fits, except for the constant."""
    fused = fuse_conv_bn(yolov8n)
    path = anchor_free_file(tmp_path / "fused.pt", fused, "yolov8n", NAMES)
    detector = attendet.build("yolov8n")
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    with pytest.raises(WeightsError, match="no tensor fits into Detector: kept 1 of 355 tensors"):
        attendet.load_weights(detector, path)
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())
    with pytest.raises(WeightsError, match="no tensor fits into Detector"):
        attendet.open(path)


def test_the_weights_of_another_network(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"load the weights into their network in Python: attendet\.load_weights"):
        attendet.open(tmp_path / "a.pt")


def test_a_checkpoint_that_describes_a_large_model_takes_no_memory(tmp_path: Path, yolov8n: Detector) -> None:
    model = network(yolov8n, "yolov8n", NAMES, scale="x", scales={"x": [1.0, 1.25, 512]})
    small = pickled("ultralytics.nn.tasks.DetectionModel")
    vars(small).update({key: value for key, value in vars(model).items() if not key.startswith("_")})
    small.add_module("model", nn.Sequential(nn.Linear(2, 2)))
    path = save({"model": small}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"it has 68,[0-9,]+ parameters, but the file only 6 values"):
        attendet.open(path)


def test_predictor_reads_it(tmp_path: Path, yolov8n: Detector) -> None:
    path = anchor_free_file(tmp_path / "yolov8n.pt", yolov8n, "yolov8n", NAMES, half=False)
    attendet.save_weights(yolov8n, tmp_path / "own.safetensors", attendet.open(path).card)
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    detections = [
        attendet.Predictor(tmp_path / name, imgsz=128, confidence=0.001, device="cpu")(image)
        for name in ("yolov8n.pt", "own.safetensors")
    ]
    assert len(detections[0]) > 0
    np.testing.assert_array_equal(detections[0].xyxy, detections[1].xyxy)
