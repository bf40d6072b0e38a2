"""Precision, recall, and F1 as functions of the confidence threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attendet.evaluation.matching import UNMATCHED, ImageResult, match_detections

IOU = 0.5
"""Smallest overlap of a detection and the object that it is matched to, 0-1."""

NUM_CONFIDENCES = 1001
"""Number of confidence thresholds at which the curves are computed."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision, recall, and F1 at several thresholds, each (k,) in 0-1.

    Attributes:
        precision: Fraction of the detections that match an object; 0 if there are no detections.
        recall: Fraction of the objects that are matched; NaN if there are no objects.
        f1: Harmonic mean of precision and recall; NaN if there are no objects.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


class RankedDetections:
    """The detections of one class over all images, in descending order of confidence.

    Args:
        confidences: (k,) scores of the detections, 0-1, in any order.
        is_match: (k,) whether each detection matches an object.
        objects: Number of objects of the class.

    Attributes:
        confidences: (k,) scores of the detections in descending order.
        objects: Number of objects of the class.

    Example:
        >>> ranked = RankedDetections(np.array([0.3, 0.9]), np.array([False, True]), objects=2)
        >>> ranked.scores_at(np.array([0.5])).recall, ranked.scores_of_top(np.array([1, 2])).precision
        (array([0.5]), array([1. , 0.5]))
    """

    def __init__(self, confidences: NDArray[np.float64], is_match: NDArray[np.bool_], objects: int) -> None:
        order = np.argsort(-confidences, kind="stable")
        self.confidences = confidences[order]
        self.objects = objects
        self._matches_of_top = np.concatenate([[0], np.cumsum(is_match[order])])

    def scores_at(self, thresholds: NDArray[np.float64]) -> PrecisionRecall:
        """Return the scores of the detections whose confidence reaches each threshold (k,)."""
        counts = np.searchsorted(-self.confidences, -thresholds, side="right")
        return self.scores_of_top(counts)

    def scores_of_top(self, counts: NDArray[np.int64]) -> PrecisionRecall:
        """Return the scores of the n most confident detections, for each n of `counts` (k,)."""
        matches = self._matches_of_top[counts].astype(np.float64)
        if not self.objects:
            missing = np.full(len(counts), np.nan)
            return PrecisionRecall(missing, missing, missing)
        return PrecisionRecall(
            matches / np.maximum(counts, 1), matches / self.objects, 2 * matches / (counts + self.objects)
        )


def rank_detections(results: Sequence[ImageResult], num_classes: int) -> list[RankedDetections]:
    """Match the detections of all images at IoU 0.5, and rank the detections of each class.

    Detections in crowds, which are neither right nor wrong, are left out.

    Args:
        results: Detections and ground truth of each image.
        num_classes: Number of classes.
    """
    objects = np.zeros(num_classes, np.int64)
    confidences, classes, is_match = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
    for result in results:
        matches, is_ignored = match_detections(result, IOU)
        confidences.append(result.confidences[~is_ignored])
        classes.append(result.classes[~is_ignored])
        is_match.append(matches[~is_ignored] != UNMATCHED)
        objects += np.bincount(result.true_classes[~result.crowd], minlength=num_classes)
    confidence, detected, matched = np.concatenate(confidences), np.concatenate(classes), np.concatenate(is_match)
    return [
        RankedDetections(confidence[detected == index], matched[detected == index], int(objects[index]))
        for index in range(num_classes)
    ]


def best_confidence(ranked: Sequence[RankedDetections]) -> float | None:
    """Return the confidence threshold with the highest mean F1 over the classes that have objects.

    The threshold is midway between the least confident detection above it and the most confident one below it. Of
    thresholds that are equally good, the highest is returned. Every confidence that occurs is tried: detections are
    added in descending order of confidence, and each one changes the F1 of its own class.

    Args:
        ranked: The detections of each class.

    Returns:
        A confidence in 0-1, or None if no detection matches an object.
    """
    present = [detections for detections in ranked if detections.objects]
    changes = [np.diff(each.scores_of_top(np.arange(len(each.confidences) + 1)).f1) for each in present]
    confidences = np.concatenate([np.zeros(0), *(each.confidences for each in present)])
    order = np.argsort(-confidences, kind="stable")
    confidences = confidences[order]
    # Without rounding, the rounding errors of the sums would choose between equally good thresholds.
    total = np.cumsum(np.concatenate([np.zeros(0), *changes])[order]).round(9)
    total[:-1][confidences[:-1] == confidences[1:]] = 0
    if not total.any():
        return None
    best = int(total.argmax())
    return float((confidences[best] + (confidences[best + 1] if best + 1 < len(confidences) else 0)) / 2)
