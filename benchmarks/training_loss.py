"""The loss of a training step, computed as in `attendet train`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from attendet.models.detector import Detector
from attendet.training.config_sections import LossConfig


def step_loss(detector: Detector, raw: Sequence[Tensor], targets: Tensor, imgsz: int) -> Tensor:
    """Return the loss of raw maps.

    Args:
        detector: Detector that returned the maps.
        raw: One map of logits per level.
        targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
        imgsz: Side of the images in pixels.
    """
    options = LossConfig().options_for(detector.head, imgsz)
    return detector.head.loss(raw, targets, options).total
