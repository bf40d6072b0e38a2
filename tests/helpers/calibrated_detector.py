"""Two photographs, a detector calibrated on them so that it detects objects without training, and its weights file."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

import attendet
from attendet.blocks import AnchorFreeDetect
from attendet.data.loading.resizing import resize
from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector
from attendet.weights.io import save_weights
from attendet.weights.io.model_card import ModelCard
from tests.helpers.typed_access import head_convolutions, not_none

Photographs = list[NDArray[np.uint8]]
NAMES = ("cat", "white dog")


def photographs() -> Photographs:
    """Return a photograph of a temple and one of a flower, 640x427, RGB."""
    return [np.array(image, np.uint8) for image in load_sample_images().images]


def write_weights(
    path: Path, detector: Detector, imgsz: int = 96, *, model: str = "yolov5n", names: tuple[str, ...] = NAMES
) -> Path:
    """Write the weights of a bundled model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(detector, path, ModelCard(model, bundled_text(model), "auto", names, imgsz))
    return path


def calibrated_detector(model: str = "yolov5n") -> Detector:
    """Return a detector with random weights and batch statistics of real photographs, so that scores vary."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        detector = attendet.build(model, num_classes=len(NAMES))
    for norm in detector.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    patches = np.stack([resize(image, 192)[:128, :192] for image in photographs()])
    with torch.no_grad():
        detector(torch.from_numpy(patches).permute(0, 3, 1, 2) / 255)
        if isinstance(detector.head, AnchorFreeDetect):
            _spread_scores_of_points(detector.head)
        else:
            _spread_scores_of_anchors(detector)
    return detector.train(False)


def _spread_scores_of_anchors(detector: Detector) -> None:
    for level in head_convolutions(detector):
        # Keep boxes close to their anchors, and spread the scores.
        level.weight.view(3, -1, level.in_channels)[:, :4].mul_(0.5)
        level.weight.view(3, -1, level.in_channels)[:, 4:].mul_(3)
        not_none(level.bias).view(3, -1)[:, 4:] = 0.0


def _spread_scores_of_points(head: AnchorFreeDetect) -> None:
    for boxes, classes in zip(head.cv2, head.cv3, strict=True):
        # Boxes of about eight cells.
        boxes.get_parameter("2.bias").view(4, -1).copy_(torch.arange(16.0).sub(4).abs().mul(-0.5))
        classes.get_parameter("2.weight").mul_(3)
        classes.get_parameter("2.bias").zero_()
