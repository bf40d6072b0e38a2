"""What a network says about an image: detections, or classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from supervision import Detections
from torch import Tensor, nn

from attendet.detection.suppression import nms
from attendet.errors import OptionError, unknown_name
from attendet.interpret.image.input_image import Picture
from attendet.models.detector import Detector

MOST_CLASSES = 5


class ScoredClass(NamedTuple):
    """A class, and how likely it is.

    Attributes:
        number: The class; several may have one name.
        name: Its name.
        probability: In 0-1.
    """

    number: int
    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What a network says about an image.

    Attributes:
        detections: Of a detector: boxes in pixels of the image, the most confident first; `data["class_name"]`, and
            `data["row"]`, which of the decoded predictions each is.
        classes: Of a classifier: its best five classes, the best first.
    """

    detections: Detections | None = None
    classes: tuple[ScoredClass, ...] = ()


@dataclass(frozen=True)
class Thresholds:
    """Which detections are taken.

    Attributes:
        confidence: Least confidence, in 0-1.
        iou: Boxes of one class that overlap a better one by more are dropped, in 0-1.
        max_detections: Most detections of an image.
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 1000


def detections_in(
    detector: Detector, raw: Sequence[Tensor], picture: Picture, names: Sequence[str], thresholds: Thresholds
) -> Answer:
    """Return the detections of the first image in raw maps."""
    decoded = detector.decode([level[:1] for level in raw])
    options = {"confidence": thresholds.confidence, "iou": thresholds.iou, "max_detections": thresholds.max_detections}
    kept = nms(decoded, **options)[0]
    rows = torch.tensor([_row(decoded[0], detection) for detection in kept], dtype=torch.long)
    numbers = kept.cpu().double().numpy()
    height, width = picture.pixels.shape[:2]
    boxes = picture.placed.to_image(numbers[:, :4]).clip(0, [width, height, width, height]).astype(np.float32)
    # What lies in the padding alone has no part of the image.
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    classes = numbers[inside, 5].astype(np.int64)
    called = np.array([class_name(number, names) for number in classes.tolist()], np.str_)
    found = Detections(
        xyxy=boxes[inside],
        confidence=numbers[inside, 4].astype(np.float32),
        class_id=classes,
        data={"class_name": called, "row": rows.numpy()[inside]},
    )
    return Answer(detections=found)


def classes_in(scores: Tensor, names: Sequence[str]) -> Answer:
    """Return the best classes for the first image of scores (N, K), which are logits.

    Example:
        >>> classes_in(torch.tensor([[0.0, 1.0]]), ["cat", "dog"]).classes[0].name
        'dog'
    """
    shares, order = scores[0].detach().float().softmax(0).sort(descending=True, stable=True)
    best = zip(order.tolist()[:MOST_CLASSES], shares.tolist()[:MOST_CLASSES], strict=True)
    return Answer(classes=tuple(ScoredClass(number, class_name(number, names), share) for number, share in best))


def class_name(number: int, names: Sequence[str]) -> str:
    """Return the name of a class, or its number where it has none."""
    return names[number] if number < len(names) else str(number)


def class_number(wanted: str | int, names: Sequence[str], count: int) -> int:
    """Return a class's number; a text is a name first, and a number where there is no such name.

    Raises:
        UnknownNameError: If no class has this name.
        OptionError: If there are not so many classes.

    Example:
        >>> class_number("dog", ["cat", "dog"], 2), class_number("0", ["cat", "dog"], 2)
        (1, 0)
    """
    if isinstance(wanted, str) and wanted in names:
        return list(names).index(wanted)
    if isinstance(wanted, str) and not wanted.isdecimal():
        raise unknown_name("class", wanted, names or [f"0 to {count - 1}"])
    if not 0 <= int(wanted) < count:
        raise OptionError(f"there is no class {wanted}", remedy=f"give 0 to {count - 1}, or a name")
    return int(wanted)


def is_scores(model: nn.Module, output: object) -> bool:
    """Return whether an output is that of a classifier, (N, classes)."""
    return not isinstance(model, Detector) and isinstance(output, Tensor) and output.ndim == 2 and output.shape[1] > 1


def _row(decoded: Tensor, detection: Tensor) -> int:
    """Return which of the predictions (rows, 5 + classes) a detection is: none other has its box and confidence."""
    center, sides = (detection[:2] + detection[2:4]) / 2, detection[2:4] - detection[:2]
    confidence = decoded[:, 4] * decoded[:, 5 + int(detection[5])]
    distance = (decoded[:, :4] - torch.cat([center, sides])).abs().sum(1) + (confidence - detection[4]).abs()
    return int(distance.argmin())
