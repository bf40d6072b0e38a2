"""The check of the detections that an exported file selects, against the predictions of torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou

from attendet.runtimes.file_description import BakedSelection

_SAME_BOX_IOU = 0.9


def count_differing(predictions: Tensor, detections: Tensor, selection: BakedSelection, tolerance: float) -> int:
    """Return the number of detections that a file must not return, and of boxes that it must not leave out.

    Two files with almost equal predictions can rightly return different detections: of two boxes that overlap, the
    one with the higher score remains, and rounding decides which one that is if the scores are almost equal. So
    detections are not compared with detections, but with the rules of non-maximum suppression:

    - Each detection is a row of the predictions: a box with an IoU of at least 0.9, and the row's highest score.
    - No detection overlaps a more confident one of its class by more than the IoU threshold.
    - Each other row has a low score, or overlaps a detection of its class that is more confident.

    Scores are compared up to the tolerance, and IoUs up to the largest difference of boxes that are the same.

    Args:
        predictions: Predictions of torch for an image, (rows, 4 + num_classes): x, y of the center, width, and height
            in pixels, and the confidence of each class in 0-1.
        detections: Detections of the file, (n, 6): x1, y1, x2, y2 in pixels, confidence, class; the most confident
            first.
        selection: Thresholds in the file.
        tolerance: Largest difference of two scores.

    Example:
        >>> boxes = torch.tensor([[8.0, 8.0, 4.0, 4.0], [8.5, 8.0, 4.0, 4.0], [30.0, 8.0, 4.0, 4.0]])
        >>> predictions = torch.cat([boxes, torch.tensor([[0.9], [0.9], [0.8]])], dim=1)
        >>> selection = BakedSelection(confidence=0.25, iou=0.45, max_detections=9, agnostic=False)
        >>> detections = torch.tensor([[6.5, 6.0, 10.5, 10.0, 0.9, 0.0]])
        >>> count_differing(predictions, detections, selection, tolerance=1e-3)
        1
    """
    highest = predictions[:, 4:].amax(1)
    # Other rows can neither be detections nor be missed.
    rows = predictions[highest > selection.confidence - tolerance]
    scores, best = rows[:, 4:], rows[:, 4:].amax(1)
    overlap = box_iou(box_convert(rows[:, :4], "cxcywh", "xyxy"), detections[:, :4])
    confidence, classes = detections[:, 4], detections[:, 5].long()
    # The score of each row for the class of each detection; rounding can decide which class of a row is the best.
    score = scores[:, classes]
    is_of_class = score >= best[:, None] - tolerance
    is_same = is_of_class & (overlap >= _SAME_BOX_IOU) & ((score - confidence).abs() <= tolerance)
    is_known = is_same.any(0)
    margin = tolerance + _rounding(overlap * is_same)
    together = torch.ones_like(is_of_class) if selection.agnostic else is_of_class
    is_covered = together & (overlap >= selection.iou - margin) & (confidence >= best[:, None] - tolerance)
    # Rows below the last detection of a full list may be missing.
    end = float(confidence[-1]) if len(detections) >= selection.max_detections else selection.confidence
    is_missed = (best > end + tolerance) & ~is_covered.any(1)
    return int((~is_known | _is_suppressed(detections, selection, tolerance)).sum() + is_missed.sum())


def _rounding(overlap: Tensor) -> float:
    """Return the largest difference from an IoU of 1 among the best IoUs (rows, n) of known detections."""
    best = overlap.amax(0) if overlap.numel() else overlap.new_zeros(0)
    return float((1 - best[best > 0]).amax()) if (best > 0).any() else 0.0


def _is_suppressed(detections: Tensor, selection: BakedSelection, tolerance: float) -> Tensor:
    """Return the detections (n,) that overlap a more confident one of their class too much."""
    overlap = box_iou(detections[:, :4], detections[:, :4]).triu(diagonal=1)
    together = (detections[:, None, 5] == detections[None, :, 5]) | selection.agnostic
    return (together & (overlap > selection.iou + tolerance)).any(0)
