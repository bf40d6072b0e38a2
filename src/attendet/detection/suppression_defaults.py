"""The thresholds of non-maximum suppression that were published with a family of detectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SuppressionDefaults:
    """Thresholds of non-maximum suppression that are used unless others are given.

    Attributes:
        prediction_iou: IoU above which a box is dropped in prediction, 0-1.
        validation_iou: IoU above which a box is dropped in validation, 0-1.
        max_detections: Largest number of detections per image in prediction.
    """

    prediction_iou: float = 0.45
    validation_iou: float = 0.6
    max_detections: int = 1000
