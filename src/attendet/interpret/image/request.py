"""The options of an explanation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from attendet.detection.postprocess import DetectionThresholds
from attendet.detection.suppression import check_thresholds
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError
from attendet.utils.limits import MAX_IMGSZ


@dataclass(frozen=True)
class ExplanationRequest:
    """What to explain, the same for every image.

    Attributes:
        site: Pattern of the paths of the attention modules, with the wildcards `*` and `?`.
        class_name: Name or index of the class that class activation maps explain; None for the class of the best
            detection, or the best class.
        detection: Number of the detection (of that class) that is explained; 1 is the most confident.
        confidence: Smallest confidence of a detection, 0-1.
        iou: IoU threshold of non-maximum suppression, 0-1; None for that of the network.
        names: Class names, in the order of their indices; they may be unknown (empty).
        imgsz: Longer side in pixels that the images of a detector are scaled to, or side of the images of a
            classifier; None for the default.
        bit_depth: Number of bits (8 to 16) of the values in image files with 16 bits per channel.

    Raises:
        OptionError: If `detection` is below 1, a threshold is outside 0-1, or `imgsz` is not a possible size.

    Example:
        >>> ExplanationRequest(detection=0)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `detection` counts from 1 (most confident), got 0
    """

    site: str = "*"
    class_name: str | int | None = None
    detection: int = 1
    confidence: float = 0.25
    iou: float | None = None
    names: tuple[str, ...] = ()
    imgsz: int | None = None
    bit_depth: int = 16

    def __post_init__(self) -> None:
        if self.detection < 1:
            raise OptionError(f"`detection` counts from 1 (most confident), got {self.detection}")
        if self.imgsz is not None and not 1 <= self.imgsz <= MAX_IMGSZ:
            raise OptionError(f"`imgsz` must be 1 to {MAX_IMGSZ} pixels, got {self.imgsz}")
        iou = None if self.iou is None else float(self.iou)
        check_thresholds(float(self.confidence), iou, max_detections=1)

    def thresholds(self, defaults: SuppressionDefaults) -> DetectionThresholds:
        """Return the thresholds under which detections are selected.

        Args:
            defaults: Thresholds of the network.
        """
        thresholds = replace(DetectionThresholds.for_prediction(defaults), confidence=float(self.confidence))
        return thresholds if self.iou is None else replace(thresholds, iou=float(self.iou))

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values, ready for JSON."""
        return asdict(self)
