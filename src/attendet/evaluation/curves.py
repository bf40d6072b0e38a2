"""Precision, recall and F1 as functions of the confidence from which detections are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attendet.evaluation.matching import UNMATCHED, ImageResult, match

IOU = 0.5
CONFIDENCES = 1001


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision, recall and F1, all in 0-1.

    Attributes:
        precision: Share of the detections that are right; 0 where nothing is detected.
        recall: Share of the objects that are found; NaN where there are none.
        f1: Their harmonic mean; NaN where there are no objects.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


class Ranking:
    """The detections of one class over all images, the most confident first, each right or wrong.

    Args:
        confidences: (k,) in 0-1, in any order.
        right: (k,) whether the detection found an object of its own.
        objects: Number of objects there are.
    """

    def __init__(self, confidences: NDArray[np.float64], right: NDArray[np.bool_], objects: int) -> None:
        order = np.argsort(-confidences, kind="stable")
        self.confidences = confidences[order]
        self.objects = objects
        self._right = np.concatenate([[0], np.cumsum(right[order])])

    def at(self, thresholds: NDArray[np.float64]) -> PrecisionRecall:
        """Return the scores of keeping all detections of at least each confidence."""
        kept = np.searchsorted(-self.confidences, -thresholds, side="right")
        return self.of_best(kept)

    def of_best(self, kept: NDArray[np.int64]) -> PrecisionRecall:
        """Return the scores of keeping the so many most confident detections."""
        right = self._right[kept].astype(np.float64)
        if not self.objects:
            missing = np.full(len(kept), np.nan)
            return PrecisionRecall(missing, missing, missing)
        return PrecisionRecall(right / np.maximum(kept, 1), right / self.objects, 2 * right / (kept + self.objects))


def rank(samples: Sequence[ImageResult], num_classes: int) -> list[Ranking]:
    """Match all images at IoU 0.5 and rank the detections of each class; those in crowds are left out."""
    objects = np.zeros(num_classes, np.int64)
    confidences, categories, right = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
    for sample in samples:
        found, ignored = match(sample, IOU)
        confidences.append(sample.confidences[~ignored])
        categories.append(sample.classes[~ignored])
        right.append(found[~ignored] != UNMATCHED)
        objects += np.bincount(sample.true_classes[~sample.crowd], minlength=num_classes)
    confidence, category, is_right = np.concatenate(confidences), np.concatenate(categories), np.concatenate(right)
    return [
        Ranking(confidence[category == number], is_right[category == number], int(objects[number]))
        for number in range(num_classes)
    ]


def best_confidence(rankings: Sequence[Ranking]) -> float | None:
    """Return the one confidence from which on the mean F1 of the classes with objects is best.

    It lies midway between the weakest detection to keep and the strongest to drop; of equally good ones it is the
    highest. Every confidence that occurs is tried: the mean is followed as detections come in one by one, each of which
    changes the F1 of its own class.

    Returns:
        A confidence in 0-1, or None where no detection is right.
    """
    present = [ranking for ranking in rankings if ranking.objects]
    changes = [np.diff(ranking.of_best(np.arange(len(ranking.confidences) + 1)).f1) for ranking in present]
    confidences = np.concatenate([np.zeros(0), *(ranking.confidences for ranking in present)])
    order = np.argsort(-confidences, kind="stable")
    confidences = confidences[order]
    # Rounded, so that the rounding errors of sums do not choose between equals.
    total = np.cumsum(np.concatenate([np.zeros(0), *changes])[order]).round(9)
    total[:-1][confidences[:-1] == confidences[1:]] = 0
    if not total.any():
        return None
    best = int(total.argmax())
    return float((confidences[best] + (confidences[best + 1] if best + 1 < len(confidences) else 0)) / 2)
