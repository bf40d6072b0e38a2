"""The loss of a training step, as the engine has it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from attendet.detection.loss import LossWeights, detection_loss
from attendet.models.detector import Detector


def loss_of(detector: Detector, raw: Sequence[Tensor], targets: Tensor, size: int) -> Tensor:
    """Return the loss of raw maps.

    Args:
        detector: What made them.
        raw: By level.
        targets: (n, 6): image, class, and center and sides in 0-1.
        size: Side of the images in pixels.
    """
    weights = LossWeights().scaled(num_classes=raw[0].shape[-1] - 5, levels=len(raw), imgsz=size)
    return detection_loss(raw, targets, detector.head.anchors_in_pixels(), detector.strides, weights).total
