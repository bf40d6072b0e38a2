"""From decoded predictions to detections: thresholds and non-maximum suppression."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import batched_nms, box_convert

from attendet.errors import OptionError

MAX_CANDIDATES = 30_000


def nms(
    predictions: Float[Tensor, "n rows outputs"],
    *,
    confidence: float = 0.25,
    iou: float = 0.45,
    max_detections: int = 1000,
    multi_label: bool = False,
    agnostic: bool = False,
) -> list[Float[Tensor, "detections 6"]]:
    """Keep the best of boxes that overlap.

    Nothing here depends on the machine's speed: there is no time limit. Of more than 30,000 candidates of an image
    the most confident are taken.

    Args:
        predictions: As `decode` gives them: x, y, w, h in pixels, objectness and class scores in 0-1.
        confidence: Least objectness · class score, in 0-1.
        iou: Boxes of one class that overlap a better one by more are dropped, in 0-1.
        max_detections: Most detections of an image.
        multi_label: Take every class of a box that is confident enough, instead of the best one.
        agnostic: Let boxes of different classes suppress each other.

    Returns:
        One tensor per image: x1, y1, x2, y2 in pixels, confidence in 0-1, class; the most confident first.

    Raises:
        OptionError: If a threshold is outside 0-1, or max_detections below 1.

    Example:
        >>> box = torch.tensor([[[8.0, 8.0, 4.0, 4.0, 0.9, 0.5, 1.0], [8.5, 8.0, 4.0, 4.0, 0.8, 0.1, 1.0]]])
        >>> nms(box)
        [tensor([[ 6.0000,  6.0000, 10.0000, 10.0000,  0.9000,  1.0000]])]
    """
    check_thresholds(confidence, iou, max_detections)
    detections = []
    for image in predictions.float():
        candidates = _candidates(image[image[:, 4] > confidence], confidence, multi_label=multi_label)
        boxes, scores, classes = candidates[:, :4], candidates[:, 4], candidates[:, 5]
        groups = torch.zeros_like(classes) if agnostic else classes
        detections.append(candidates[batched_nms(boxes, scores, groups, iou)[:max_detections]])
    return detections


def check_thresholds(confidence: float, iou: float, max_detections: int) -> None:
    """Check the options of non-maximum suppression.

    Raises:
        OptionError: If `confidence` or `iou` is outside 0-1, or `max_detections` is below 1.
    """
    for name, value in (("confidence", confidence), ("iou", iou)):
        if not 0 <= value <= 1:
            raise OptionError(f"`{name}` must be a number from 0 to 1, got {value!r}")
    if max_detections < 1:
        raise OptionError(f"`max_detections` must be a positive integer, got {max_detections!r}")


def _candidates(rows: Tensor, confidence: float, *, multi_label: bool) -> Tensor:
    """Return (candidates, 6): corners, confidence and class, the most confident first."""
    boxes = box_convert(rows[:, :4], "cxcywh", "xyxy")
    scores = rows[:, 5:] * rows[:, 4:5]
    if multi_label:
        row, classes = (scores > confidence).nonzero(as_tuple=True)
        chosen = scores[row, classes]
    else:
        best, classes = scores.max(dim=1)
        row = (best > confidence).nonzero(as_tuple=True)[0]
        classes, chosen = classes[row], best[row]
    candidates = torch.cat([boxes[row], chosen[:, None], classes[:, None].to(boxes.dtype)], dim=1)
    return candidates[chosen.argsort(descending=True, stable=True)[:MAX_CANDIDATES]]
