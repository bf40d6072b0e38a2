"""The loss of a training step, computed as in `attendet train`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from attendet.detection.anchor_loss import AnchorLossWeights, anchor_based_loss
from attendet.models.detector import Detector


def step_loss(detector: Detector, raw: Sequence[Tensor], targets: Tensor, imgsz: int) -> Tensor:
    """Return the loss of raw maps.

    Args:
        detector: Detector that returned the maps.
        raw: One map of logits per level.
        targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
        imgsz: Side of the images in pixels.
    """
    weights = AnchorLossWeights().scaled(num_classes=raw[0].shape[-1] - 5, levels=len(raw), imgsz=imgsz)
    return anchor_based_loss(raw, targets, detector.head.anchors_in_pixels(), detector.strides, weights).total
