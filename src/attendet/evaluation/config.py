"""Settings of a validation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from attendet.utils.settings import Fraction, StrictModel


class ValidationConfig(StrictModel):
    """How detections are measured.

    Attributes:
        confidence: Least confidence of a detection.
        iou: Overlap above which the less confident of two is dropped.
        max_detections: Most detections of an image.
        every_epoch: Whether each epoch is measured, or the last only.
    """

    confidence: Fraction = 0.001
    iou: Fraction = 0.6
    max_detections: Annotated[int, Field(ge=1)] = 300
    every_epoch: bool = True
