"""Class activation maps equal the formulas of their papers, for the chosen detection or class."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import attendet
from attendet.interpret.image.activation_target import class_score, detection_score, layer_of_detection, level_of_row
from attendet.interpret.image.class_activation import (
    ActivationTarget,
    compute_class_activation,
    record_feature_shapes,
)
from tests.helpers.typed_access import gradient, not_none


def small_classifier() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4 * 4, 4)
    ).train(False)


def normalized(maps: np.ndarray) -> np.ndarray:
    maps = np.maximum(maps, 0)
    return (maps - maps.min()) / (maps.max() - maps.min())


def features_and_gradients(model: nn.Sequential, image: torch.Tensor, number: int) -> tuple[np.ndarray, np.ndarray]:
    features = model[:4](image).detach().requires_grad_()
    model[4:](features)[0, number].backward()
    return features.detach()[0].double().numpy(), gradient(features)[0].double().numpy()


def maps_of(model: nn.Module, image: torch.Tensor, number: int) -> Mapping[str, np.ndarray]:
    return not_none(
        compute_class_activation(model, image, ActivationTarget("", "3", partial(class_score, number)))
    ).maps


def test_layer_cam_is_features_times_positive_gradients() -> None:
    model, image = small_classifier(), torch.rand(1, 3, 8, 8)
    found = maps_of(model, image, 2)["LayerCAM"]
    features, gradients = features_and_gradients(model, image, 2)
    np.testing.assert_allclose(found, normalized((features * np.maximum(gradients, 0)).sum(0)), atol=1e-5)


def test_grad_cam_plus_plus_is_equation_19_term_by_term() -> None:
    model, image = small_classifier(), torch.rand(1, 3, 8, 8)
    found = maps_of(model, image, 1)["Grad-CAM++"]
    features, gradients = features_and_gradients(model, image, 1)
    expected = np.zeros(features.shape[1:])
    for channel, slopes in zip(features, gradients, strict=True):
        weight = 0.0
        for slope in slopes.flat:
            if slope > 0:
                weight += slope**2 / (2 * slope**2 + channel.sum() * slope**3) * slope
        expected += weight * channel
    np.testing.assert_allclose(found, normalized(expected), atol=1e-5)


def test_frozen_networks_have_maps_and_no_gradients_remain() -> None:
    model = small_classifier().requires_grad_(False)
    frozen = maps_of(model, torch.ones(1, 3, 8, 8), 0)
    model.requires_grad_()
    free = maps_of(model, torch.ones(1, 3, 8, 8), 0)
    assert np.array_equal(frozen["LayerCAM"], free["LayerCAM"])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("classes", [1, 3])
def test_the_score_of_a_detection_is_that_of_its_cell_and_anchor(classes: int) -> None:
    detector = attendet.build("yolov5n_CBAM", num_classes=classes).train(False)
    with torch.no_grad():
        raw = detector(torch.rand(1, 3, 64, 96))
        decoded = detector.decode(raw)[0]
    for row in (0, 7, 287, 288, 300, 359, 360, 377):
        level, cell = level_of_row((288, 72, 18), row)
        score = detection_score(detector.head, level, cell, classes - 1, [maps[0] for maps in raw])
        logits = raw[level][0].reshape(-1, classes + 5)[cell]
        torch.testing.assert_close(score, logits[4] + (logits[4 + classes] if classes > 1 else 0))
        torch.testing.assert_close(logits[4:].sigmoid()[[0, classes]].prod(), decoded[row, 3 + classes])
    with pytest.raises(IndexError):
        level_of_row((288, 72, 18), 378)


def test_the_score_of_a_detection_without_objectness_is_the_class_logit() -> None:
    detector = attendet.build("yolov8n_CBAM", num_classes=3).train(False)
    with torch.no_grad():
        raw = detector(torch.rand(1, 3, 64, 96))
        decoded = detector.decode(raw)[0]
    for row, level, (y, x) in ((0, 0, (0, 0)), (13, 0, (1, 1)), (97, 1, (0, 1)), (125, 2, (1, 2))):
        position = row - (0, 96, 120)[level]
        assert level_of_row((96, 24, 6), row) == (level, position)
        score = detection_score(detector.head, level, position, 2, [maps[0] for maps in raw])
        assert score == raw[level][0, 64 + 2, y, x]
        torch.testing.assert_close(score.sigmoid(), decoded[row, 4 + 2])


@pytest.mark.parametrize("model", ["yolov5n_CBAM", "yolov8n_CBAM"])
def test_the_layer_is_the_last_of_the_backbone_at_the_stride_of_the_detection(model: str) -> None:
    detector = attendet.build(model, num_classes=2).train(False)
    with torch.no_grad(), record_feature_shapes(detector) as shapes:
        detector(torch.rand(1, 3, 64, 96))
    layers = [layer_of_detection(detector, shapes, (64 // stride, 96 // stride)) for stride in (8, 16, 32)]
    # From the bundled model files: the block of stride 8, the block of stride 16, and CBAM, which is before SPPF.
    assert layers == ["model.4", "model.6", "model.9"]
    # The output of the spatial gate is a weight, not a feature map.
    assert "model.9.spatial.conv" not in shapes
    assert "model.9" in shapes
