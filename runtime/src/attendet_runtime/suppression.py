"""Selection of detections from decoded predictions, equal to that of attendet bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attendet_runtime.errors import UsageError
from attendet_runtime.letterbox import Placement

_MAX_CANDIDATES = 30_000
# Up to this many candidates, torchvision moves the classes apart and suppresses all boxes at once, which rounds
# differently.
_MAX_MOVED = 1000


@dataclass(frozen=True)
class Thresholds:
    """The options of non-maximum suppression.

    Attributes:
        confidence: Detections with a smaller confidence are dropped, 0-1.
        iou: A box that overlaps a more confident box of its class by more than this IoU is dropped, 0-1.
        max_detections: Largest number of detections per image.
        multi_label: Whether a box is a detection of every class whose score is high enough, instead of the best only.
        agnostic: Whether boxes of different classes suppress each other.

    Raises:
        UsageError: If a threshold is outside 0-1, or `max_detections` is below 1.
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 1000
    multi_label: bool = False
    agnostic: bool = False

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("iou", self.iou)):
            if not 0 <= value <= 1:
                raise UsageError(f"`{name}` must be a number from 0 to 1, got {value}")
        if self.max_detections < 1:
            raise UsageError(f"`max_detections` must be a positive integer, got {self.max_detections}")


def select_detections(
    predictions: NDArray[np.float32], thresholds: Thresholds, classes: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Select the detections of an image by non-maximum suppression.

    Args:
        predictions: Decoded predictions (rows, 4 + num_classes): x, y of the center, width, and height in pixels, and
            the confidence of each class in 0-1.
        thresholds: Options of non-maximum suppression.
        classes: Filter of classes (num_classes,), True for a class that is kept (default: all classes). A box whose
            best class is not kept does not suppress other boxes.

    Returns:
        (detections, 6) x1, y1, x2, y2 in pixels, confidence, class; the most confident first.

    Example:
        >>> rows = np.array([[8, 8, 4, 4, 0.5, 0.75], [8.5, 8, 4, 4, 0.1, 0.5]], np.float32)
        >>> select_detections(rows, Thresholds()).tolist()
        [[6.0, 6.0, 10.0, 10.0, 0.75, 1.0]]
    """
    if classes is not None:
        predictions = predictions[classes[predictions[:, 4:].argmax(1)]]
    confidence = np.float32(thresholds.confidence)
    # Infinite sides and two boxes without an area give values that are not numbers, which suppress nothing.
    with np.errstate(invalid="ignore", over="ignore"):
        likely = predictions[predictions[:, 4:].max(axis=1) > confidence]
        candidates = _candidates(likely, confidence, multi_label=thresholds.multi_label)
        if thresholds.agnostic or len(candidates) <= _MAX_MOVED:
            groups = np.zeros(len(candidates), np.float32) if thresholds.agnostic else candidates[:, 5]
            kept = _suppress(_moved_apart(candidates[:, :4], groups), thresholds)
        else:
            kept = _suppress_by_class(candidates, thresholds)
    return candidates[kept[: thresholds.max_detections]]


def detections_in_image(detections: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Return detections (n, 6) in pixels of the image, clipped to it, without the boxes that have no area there."""
    boxes = placement.to_image(detections[:, :4])
    rows = np.concatenate([boxes, detections[:, 4:]], axis=1)
    return rows[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def _candidates(rows: NDArray[np.float32], confidence: np.float32, *, multi_label: bool) -> NDArray[np.float32]:
    """Return candidates (n, 6): x1, y1, x2, y2, confidence, and class, the most confident first.

    Args:
        rows: Predictions whose best class is more confident than the threshold.
        confidence: The threshold.
        multi_label: Whether all classes above the threshold are candidates, instead of the best only.
    """
    center, half = rows[:, :2], np.float32(0.5) * rows[:, 2:4]
    boxes = np.concatenate([center - half, center + half], axis=1)
    scores = rows[:, 4:]
    if multi_label:
        row, classes = np.nonzero(scores > confidence)
        boxes, chosen = boxes[row], scores[row, classes]
    else:
        classes, chosen = scores.argmax(axis=1), scores.max(axis=1)
    candidates = np.concatenate([boxes, chosen[:, None], classes[:, None]], axis=1, dtype=np.float32)
    return candidates[np.argsort(-chosen, kind="stable")[:_MAX_CANDIDATES]]


def _moved_apart(boxes: NDArray[np.float32], groups: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return boxes (n, 4) moved by their group (n,), so that boxes of different groups do not overlap."""
    if len(boxes) == 0:
        return boxes
    return boxes + (groups * (boxes.max() + np.float32(1)))[:, None]


def _suppress_by_class(candidates: NDArray[np.float32], thresholds: Thresholds) -> NDArray[np.intp]:
    """Return the positions of the candidates that no candidate of the same class suppresses, in order."""
    is_kept = np.zeros(len(candidates), np.bool_)
    for each in np.unique(candidates[:, 5]):
        positions = np.flatnonzero(candidates[:, 5] == each)
        is_kept[positions[_suppress(candidates[positions, :4], thresholds)]] = True
    return np.flatnonzero(is_kept)


def _suppress(boxes: NDArray[np.float32], thresholds: Thresholds) -> NDArray[np.intp]:
    """Return the positions of the first boxes (n, 4), the most confident first, that no box before them suppresses."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    areas = (x2 - x1) * (y2 - y1)
    waiting = np.arange(len(boxes))
    kept = []
    while len(waiting) and len(kept) < thresholds.max_detections:
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[waiting]) - np.maximum(x1[best], x1[waiting])
        height = np.minimum(y2[best], y2[waiting]) - np.maximum(y1[best], y1[waiting])
        common = np.maximum(width, np.float32(0)) * np.maximum(height, np.float32(0))
        overlap = common / (areas[best] + areas[waiting] - common)
        # The threshold stays in float64, as in torchvision.
        waiting = waiting[~(overlap.astype(np.float64) > thresholds.iou)]
    return np.array(kept, np.intp)
