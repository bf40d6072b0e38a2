"""The thresholds of non-maximum suppression that were published with a detector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SuppressionDefaults:
    """Thresholds of non-maximum suppression that are used unless others are given; each head has its own.

    Attributes:
        prediction_iou: IoU above which a box is dropped in prediction, 0-1.
        validation_iou: IoU above which a box is dropped in validation, 0-1.
        max_detections: Largest number of detections per image in prediction.
    """

    prediction_iou: float
    validation_iou: float
    max_detections: int
