"""Detections in pixels of the original images."""

import numpy as np
import torch

from attendet.data.loading.resizing import Letterbox
from attendet.detection.postprocess import (
    CanvasPlacement,
    DetectionThresholds,
    detections_in_images,
    has_area,
    to_image_pixels,
)
from attendet.detection.suppression import nms


def test_scaling_back_is_the_inverse_of_the_letterbox_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    for width, height in ((640, 480), (31, 4001), (1, 1)):
        scale = (float(rng.uniform(0.01, 3)), float(rng.uniform(0.01, 3)))
        letterbox = Letterbox(scale, int(rng.integers(0, 90)), int(rng.integers(0, 90)))
        boxes = rng.uniform(-50, 700, (500, 4)).astype(np.float32)
        expected = letterbox.to_image(boxes.astype(np.float64)).clip(0, [width, height] * 2).astype(np.float32)
        rows = torch.cat([torch.from_numpy(boxes), torch.rand(500, 2)], dim=1)
        converted = to_image_pixels(rows, CanvasPlacement(width, height, scale, letterbox.left, letterbox.top))
        np.testing.assert_array_equal(converted[:, :4].numpy(), expected)
        assert torch.equal(converted[:, 4:], rows[:, 4:])


def test_detections_in_the_padding_have_no_area() -> None:
    placement = CanvasPlacement(width=20, height=10, scale=(1.0, 1.0), left=0, top=5)
    rows = torch.tensor(
        [[2.0, 0.0, 8.0, 5.0, 0.9, 0.0], [2.0, 0.0, 8.0, 6.0, 0.8, 0.0], [20.0, 6.0, 24.0, 9.0, 0.7, 0.0]]
    )
    assert has_area(to_image_pixels(rows, placement)).tolist() == [False, True, False]


def test_empty_detections_are_kept_only_on_request() -> None:
    placement = CanvasPlacement(width=20, height=10, scale=(1.0, 1.0), left=0, top=5)
    predictions = torch.tensor([[[5.0, 2.0, 4.0, 4.0, 0.9], [5.0, 9.0, 4.0, 4.0, 0.8]]])
    (without_empty,) = detections_in_images(predictions, [placement], DetectionThresholds())
    (with_empty,) = detections_in_images(predictions, [placement], DetectionThresholds(), drop_empty=False)
    assert without_empty[:, :5].tolist() == [[3.0, 2.0, 7.0, 6.0, torch.tensor(0.8).item()]]
    assert with_empty[0, :4].tolist() == [3.0, 0.0, 7.0, 0.0]
    assert torch.equal(with_empty[1:], without_empty)


def test_classes_that_are_not_kept_suppress_nothing() -> None:
    predictions = torch.tensor([[[8.0, 8.0, 4.0, 4.0, 0.8, 0.1], [8.0, 8.0, 4.0, 4.0, 0.2, 0.6]]])
    placement = CanvasPlacement(width=16, height=16, scale=(1.0, 1.0), left=0, top=0)
    thresholds = DetectionThresholds(agnostic=True)
    (best,) = detections_in_images(predictions, [placement], thresholds)
    (second,) = detections_in_images(predictions, [placement], thresholds, classes=torch.tensor([False, True]))
    assert best[:, 5].tolist() == [0]
    assert second[:, 5].tolist() == [1]
    assert torch.equal(second[:, 4], nms(predictions[:, 1:])[0][:, 4])
