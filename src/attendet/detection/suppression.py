"""Selection of detections from decoded predictions: thresholds and non-maximum suppression."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attendet.errors import OptionError
from attendet.utils.text import short_repr

_MAX_CANDIDATES = 30_000


def nms(
    predictions: Float[Tensor, "n rows outputs"],
    *,
    confidence: float = 0.25,
    iou: float = 0.45,
    max_detections: int = 1000,
    multi_label: bool = False,
    agnostic: bool = False,
) -> list[Float[Tensor, "detections 6"]]:
    """Select the final detections of each image by non-maximum suppression.

    There is no time limit, so every machine returns the same detections. Of more than 30,000 candidates in an image,
    only the most confident ones are considered.

    Args:
        predictions: Decoded predictions (N, rows, 4 + num_classes): x, y of the center, width, and height in pixels,
            and the confidence of each class in 0-1.
        confidence: Detections with a smaller confidence are dropped, 0-1.
        iou: A box that overlaps a more confident box of its class by more than this IoU is dropped, 0-1.
        max_detections: Largest number of detections per image.
        multi_label: Whether a box is a detection of every class whose score is high enough, instead of the best only.
        agnostic: Whether boxes of different classes suppress each other.

    Returns:
        One tensor (detections, 6) per image: x1, y1, x2, y2 in pixels, confidence in 0-1, class index; the most
        confident first.

    Raises:
        OptionError: If `confidence` or `iou` is outside 0-1, or `max_detections` is below 1.

    Example:
        >>> boxes = torch.tensor([[[8.0, 8.0, 4.0, 4.0, 0.5, 0.9], [8.5, 8.0, 4.0, 4.0, 0.1, 0.8]]])
        >>> nms(boxes)
        [tensor([[ 6.0000,  6.0000, 10.0000, 10.0000,  0.9000,  1.0000]])]
    """
    from torchvision.ops import batched_nms  # noqa: PLC0415 (takes a second to import)

    check_thresholds(confidence, iou, max_detections)
    detections = []
    for image in predictions.float():
        candidates = _candidates(image, confidence, multi_label=multi_label)
        boxes, scores, classes = candidates[:, :4], candidates[:, 4], candidates[:, 5]
        groups = torch.zeros_like(classes) if agnostic else classes
        # In order of the candidates: torchvision orders many boxes of equal scores arbitrarily.
        kept = batched_nms(boxes, scores, groups, iou).sort().values
        detections.append(candidates[kept[:max_detections]])
    return detections


def check_thresholds(confidence: float, iou: float | None, max_detections: int) -> None:
    """Check the options of non-maximum suppression.

    Args:
        confidence: Threshold of scores, 0-1.
        iou: IoU threshold, 0-1; None if the one of the network is used.
        max_detections: Largest number of detections per image.

    Raises:
        OptionError: If `confidence` or `iou` is outside 0-1, or `max_detections` is below 1.
    """
    for name, value in (("confidence", confidence), ("iou", iou)):
        if value is not None and not 0 <= value <= 1:
            raise OptionError(f"`{name}` must be a number from 0 to 1, got {short_repr(value)}")
    if max_detections < 1:
        raise OptionError(f"`max_detections` must be a positive integer, got {short_repr(max_detections)}")


def _candidates(rows: Tensor, confidence: float, *, multi_label: bool) -> Tensor:
    """Return candidates (n, 6): x1, y1, x2, y2, confidence, and class, the most confident first."""
    from torchvision.ops import box_convert  # noqa: PLC0415 (takes a second to import)

    # Few rows have a high score, and the largest value is found faster than its class.
    rows = rows[rows[:, 4:].amax(dim=1) > confidence]
    boxes, scores = box_convert(rows[:, :4], "cxcywh", "xyxy"), rows[:, 4:]
    if multi_label:
        row, classes = (scores > confidence).nonzero(as_tuple=True)
        boxes, chosen = boxes[row], scores[row, classes]
    else:
        chosen, classes = scores.max(dim=1)
    candidates = torch.cat([boxes, chosen[:, None], classes[:, None].to(boxes.dtype)], dim=1)
    return candidates[chosen.argsort(descending=True, stable=True)[:_MAX_CANDIDATES]]
