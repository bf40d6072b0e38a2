"""What is asked of every image."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from attendet.detection.suppression import nms
from attendet.errors import OptionError
from attendet.interpret.image.answer import Thresholds
from attendet.utils.limits import MAX_IMGSZ


@dataclass(frozen=True)
class Question:
    """What is asked of every image.

    Attributes:
        site: Which attention modules, by their paths, with `*` and `?` as in names of files.
        class_name: Name or number of the class whose detection, or whose score, class activation maps explain; the
            best one if None.
        detection: Which of its detections, the most confident being 1.
        thresholds: Which detections are taken.
        names: The classes' names, by number.
        imgsz: Longer side in pixels that a detector's images are scaled to; side of a classifier's.
    """

    site: str = "*"
    class_name: str | int | None = None
    detection: int = 1
    thresholds: Thresholds = field(default_factory=Thresholds)
    names: tuple[str, ...] = ()
    imgsz: int | None = None


def check(question: Question) -> None:
    """Raise an OptionError if a number in a question cannot work."""
    if question.detection < 1:
        raise OptionError(f"there is no detection {question.detection}", remedy="give 1 for the most confident one")
    if question.imgsz is not None and not 1 <= question.imgsz <= MAX_IMGSZ:
        raise OptionError(f"imgsz is {question.imgsz}", remedy=f"give 1 to {MAX_IMGSZ} pixels")
    # Asked for nothing, so that a wrong threshold is told before the first image is read.
    nms(torch.zeros(1, 0, 6), confidence=question.thresholds.confidence, iou=question.thresholds.iou)
