"""Explanations show what the network computes: its gates, its detections, and the chosen target."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

import attendet
from attendet.errors import OptionError, UnknownNameError
from attendet.interpret.image.explanation import Explanation
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import NAMES, Photographs, write_weights
from tests.helpers.third_party_networks import attended_resnet
from tests.helpers.typed_access import head_convolutions, not_none, submodule


@pytest.fixture
def weights(tmp_path: Path, detector: Detector) -> Path:
    return write_weights(tmp_path / "best.safetensors", detector, 192, model="yolov5n_CBAM")


def test_an_image_costs_three_passes_of_yolov5s_cbam_at_640(photographs: Photographs) -> None:
    model = attendet.build("yolov5s_CBAM", num_classes=2).train(False)
    with torch.no_grad():
        for level in head_convolutions(model):
            not_none(level.bias).view(3, -1)[:, 4] = 3.0
    passes: list[tuple[int, ...]] = []
    counter = model.register_forward_pre_hook(lambda _, args: passes.append(tuple(args[0].shape)))
    (explanation,) = attendet.explain(model, photographs[0])
    counter.remove()
    assert explanation.activation is not None
    assert passes == [(1, 3, 448, 640)] * 3


def test_gates_equal_the_gates_of_the_network(detector: Detector, photographs: Photographs) -> None:
    (explanation,) = attendet.explain(detector, photographs[0], imgsz=192)
    (site,) = explanation.sites
    cbam = submodule(detector, "model.9", attendet.CBAM)
    taken: list[Tensor] = []
    tap = cbam.register_forward_pre_hook(lambda _, args: taken.append(args[0]))
    with torch.no_grad():
        detector(explanation.picture.tensor)
        tap.remove()
        channel = cbam.channel(taken[0])
        spatial = cbam.spatial(taken[0] * channel)
        after = cbam(taken[0])
    np.testing.assert_allclose(not_none(site.channels), channel[0, :, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(not_none(site.spatial), spatial[0, 0], rtol=1e-6)
    np.testing.assert_allclose(site.before, taken[0][0].abs().mean(0), rtol=1e-5)
    np.testing.assert_allclose(site.after, after[0].abs().mean(0), rtol=1e-5)
    assert (site.path, site.kind, site.join) == ("model.9", "CBAM", "product")
    assert site.shape == tuple(taken[0].shape[1:])
    assert [part.name for part in site.parts] == ["channel", "spatial"]


def test_detections_are_the_predictors_with_attention_and_without(weights: Path, photographs: Photographs) -> None:
    (explanation,) = attendet.explain(weights, photographs[1])
    predictor = attendet.Predictor(weights, device="cpu")
    with_attention = predictor(photographs[1])
    # Without: a module that hands on its features, by hand.
    predictor._detector.model[9].forward = lambda x: x
    without = predictor(photographs[1])
    for answer, expected in ((explanation.answer, with_attention), (explanation.without, without)):
        found = answer.detections
        assert found is not None
        assert len(found) == len(expected) > 1
        # Compared by their values, because rounding may change the order of equally confident detections.
        told, known = (
            np.column_stack([each.xyxy, 1000 * not_none(each.confidence), 1000 * not_none(each.class_id)])
            for each in (found, expected)
        )
        nearest = cdist(told, known)
        assert nearest.min(0).max() < 1
        assert nearest.min(1).max() < 1
    assert with_attention.confidence is not None
    assert without.confidence is not None
    assert sorted(with_attention.confidence.tolist()) != sorted(without.confidence.tolist())


def test_the_chosen_detection_is_explained(detector: Detector, photographs: Photographs) -> None:
    def ask(**options: Any) -> Explanation:
        (explanation,) = attendet.explain(detector, photographs[1], names=NAMES, imgsz=192, **options)
        return explanation

    first = ask()
    classes = not_none(not_none(first.answer.detections).class_id).tolist()
    of_dogs = [place for place, number in enumerate(classes, start=1) if number == 1]
    assert not_none(first.activation).number == 1
    assert not_none(ask(detection=3).activation).number == 3
    assert not_none(ask(class_name="white dog", detection=2).activation).number == of_dogs[1]
    assert not_none(ask(class_name=1, detection=2).activation).number == of_dogs[1]
    missing = ask(detection=1000)
    assert missing.activation is None
    assert "No detection 1000" in missing.notes[0]
    with pytest.raises(UnknownNameError, match="did you mean 'white dog'"):
        ask(class_name="white dogs")
    with pytest.raises(OptionError, match="there is no detection 0"):
        ask(detection=0)
    with pytest.raises(OptionError, match="confidence is 2"):
        ask(confidence=2)
    # Two detections far from each other, of one level, have their maps apart.
    one, other = (not_none(ask(detection=place).activation) for place in (1, 2))
    assert not np.array_equal(one.maps["LayerCAM"], other.maps["LayerCAM"])


def test_only_the_chosen_sites_are_shown_and_disabled() -> None:
    model = attended_resnet()
    images = torch.rand(1, 3, 64, 64)
    (explanation,) = attendet.explain(model, images, site="layer4.*")
    assert [site.path for site in explanation.sites] == ["layer4.attention"]
    with torch.no_grad(), attendet.disabled(model.get_submodule("layer4.attention")):
        expected = model(images).softmax(1).max()
    assert explanation.without.classes[0].probability == pytest.approx(float(expected), abs=1e-5)


def test_classes_without_a_name_have_their_number(detector: Detector) -> None:
    (explanation,) = attendet.explain(detector, torch.rand(1, 3, 64, 64), names=["cat"], confidence=0.0)
    found = explanation.answer.detections
    assert found is not None
    assert found.class_id is not None
    assert [("cat", "1")[number] for number in found.class_id] == list(found.data["class_name"])
    assert set(found.class_id.tolist()) == {0, 1}


def test_the_function_stays_a_function() -> None:
    import attendet.cli.explain  # noqa: PLC0415
    from attendet.interpret.image import explanation as module  # noqa: PLC0415

    assert callable(attendet.explain)
    assert attendet.explain is module.explain
