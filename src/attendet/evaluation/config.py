"""Settings of a validation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from attendet.data.loading.canvases import CanvasRule
from attendet.utils.settings import Fraction, StrictModel


class ValidationConfig(StrictModel):
    """The options under which detections are selected and measured.

    Attributes:
        confidence: Detections with a smaller score (0-1) are dropped.
        iou: IoU threshold of non-maximum suppression, 0-1 (default: that of the network).
        max_detections: Largest number of detections per image.
        every_epoch: Whether training validates after each epoch, instead of after the last one only.
        canvas: How much gray surrounds an image: `border`, `tight`, `square`, or `yolov5`; see
            `attendet.data.loading.canvases.canvas_shapes`.
    """

    confidence: Fraction = 0.001
    iou: Fraction | None = None
    max_detections: Annotated[int, Field(ge=1)] = 300
    every_epoch: bool = True
    canvas: CanvasRule = "border"
