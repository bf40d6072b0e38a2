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
from tests.helpers.typed_access import detector_of, head_convolutions, not_none, submodule

of_both_families = pytest.mark.parametrize("model_name", ["yolov5n_CBAM", "yolov8n_CBAM"], indirect=True)


@pytest.fixture
def weights(tmp_path: Path, detector: Detector, model_name: str) -> Path:
    return write_weights(tmp_path / "best.safetensors", detector, 192, model=model_name)


def test_an_image_takes_three_forward_passes_at_640_pixels(photographs: Photographs) -> None:
    model = attendet.build("yolov5s_CBAM", num_classes=2).train(False)
    with torch.no_grad():
        for level in head_convolutions(model):
            not_none(level.bias).view(3, -1)[:, 4] = 3.0
    passes: list[tuple[int, ...]] = []
    counter = model.register_forward_pre_hook(lambda _, args: passes.append(tuple(args[0].shape)))
    (explanation,) = attendet.explain(model, photographs[0])
    counter.remove()
    assert explanation.activation is not None
    assert passes == [(1, 3, 448, 672)] * 3


def test_gates_equal_the_gates_of_the_network(detector: Detector, photographs: Photographs) -> None:
    (explanation,) = attendet.explain(detector, photographs[0], imgsz=192)
    (site,) = explanation.sites
    cbam = submodule(detector, "model.9", attendet.CBAM)
    features: list[Tensor] = []
    hook = cbam.register_forward_pre_hook(lambda _, args: features.append(args[0]))
    with torch.no_grad():
        detector(explanation.image.tensor)
        hook.remove()
        channel = cbam.channel(features[0])
        spatial = cbam.spatial(features[0] * channel)
        after = cbam(features[0])
    np.testing.assert_allclose(not_none(site.channels), channel[0, :, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(not_none(site.spatial), spatial[0, 0], rtol=1e-6)
    np.testing.assert_allclose(site.before, features[0][0].abs().mean(0), rtol=1e-5)
    np.testing.assert_allclose(site.after, after[0].abs().mean(0), rtol=1e-5)
    assert (site.path, site.module, site.join) == ("model.9", "CBAM", "product")
    assert site.shape == tuple(features[0].shape[1:])
    assert [part.name for part in site.parts] == ["channel", "spatial"]


@of_both_families
def test_detections_match_the_predictor_with_and_without_attention(weights: Path, photographs: Photographs) -> None:
    (explanation,) = attendet.explain(weights, photographs[1])
    predictor = attendet.Predictor(weights, device="cpu")
    with_attention = predictor(photographs[1])
    # Without attention: the module returns its input.
    detector_of(predictor).model[9].forward = lambda x: x
    without = predictor(photographs[1])
    for output, expected in ((explanation.with_attention, with_attention), (explanation.without_attention, without)):
        found = output.detections
        assert found is not None
        assert len(found) == len(expected) > 1
        # Compared by their values, because rounding may change the order of equally confident detections.
        actual, known = (
            np.column_stack([each.xyxy, 1000 * not_none(each.confidence), 1000 * not_none(each.class_id)])
            for each in (found, expected)
        )
        nearest = cdist(actual, known)
        assert nearest.min(0).max() < 1
        assert nearest.min(1).max() < 1
    assert with_attention.confidence is not None
    assert without.confidence is not None
    assert sorted(with_attention.confidence.tolist()) != sorted(without.confidence.tolist())


@of_both_families
def test_the_chosen_detection_is_explained(detector: Detector, photographs: Photographs) -> None:
    def explain(**options: Any) -> Explanation:
        (explanation,) = attendet.explain(detector, photographs[1], names=NAMES, imgsz=192, **options)
        return explanation

    first = explain()
    classes = not_none(not_none(first.with_attention.detections).class_id).tolist()
    dogs = [number for number, class_id in enumerate(classes, start=1) if class_id == 1]
    assert not_none(first.activation).detection == 1
    assert not_none(explain(detection=3).activation).detection == 3
    assert not_none(explain(class_name="white dog", detection=2).activation).detection == dogs[1]
    assert not_none(explain(class_name=1, detection=2).activation).detection == dogs[1]
    missing = explain(detection=1000)
    assert missing.activation is None
    assert missing.notes[0].startswith("No class activation map: the image has ")
    assert missing.notes[0].endswith(" detections at confidence 0.25, not 1000.")
    with pytest.raises(UnknownNameError, match="did you mean 'white dog'"):
        explain(class_name="white dogs")
    with pytest.raises(OptionError, match=r"`detection` counts from 1 \(most confident\), got 0"):
        explain(detection=0)
    with pytest.raises(OptionError, match="`confidence` must be a number from 0 to 1, got 2"):
        explain(confidence=2)
    # Two detections of the same level that are far from each other have different maps.
    one, other = (not_none(explain(detection=number).activation) for number in (1, 2))
    assert not np.array_equal(one.maps["LayerCAM"], other.maps["LayerCAM"])


def test_only_the_chosen_sites_are_explained_and_disabled() -> None:
    model = attended_resnet()
    images = torch.rand(1, 3, 64, 64)
    (explanation,) = attendet.explain(model, images, site="layer4.*")
    assert [site.path for site in explanation.sites] == ["layer4.attention"]
    with torch.no_grad(), attendet.disabled(model.get_submodule("layer4.attention")):
        expected = model(images).softmax(1).max()
    assert explanation.without_attention.classes[0].probability == pytest.approx(float(expected), abs=1e-5)


def test_classes_without_a_name_are_shown_by_their_index(detector: Detector) -> None:
    (explanation,) = attendet.explain(detector, torch.rand(1, 3, 64, 64), names=["cat"], confidence=0.0)
    found = explanation.with_attention.detections
    assert found is not None
    assert found.class_id is not None
    assert [("cat", "1")[number] for number in found.class_id] == list(found.data["class_name"])
    assert set(found.class_id.tolist()) == {0, 1}


def test_modules_do_not_hide_the_function() -> None:
    import attendet.cli.explain  # noqa: PLC0415
    from attendet.interpret.image import explainer as module  # noqa: PLC0415

    assert callable(attendet.explain)
    assert attendet.explain is module.explain
