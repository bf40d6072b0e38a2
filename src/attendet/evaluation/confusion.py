"""The confusion matrix of detected and true classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attendet.evaluation.matching import UNMATCHED, ImageResult, match_in_order

CONFIDENCE = 0.25
"""Smallest confidence of the detections that the confusion matrix counts, 0-1."""

IOU = 0.45
"""Smallest overlap of a detection and the object that it is matched to, 0-1."""


def confusion_matrix(results: Sequence[ImageResult], num_classes: int) -> NDArray[np.int64]:
    """Count how often objects of each class are detected as each class.

    Detections of at least 0.25 confidence are matched to objects of any class that they overlap with an IoU of at
    least 0.45. Pairs of the same class come first, then pairs with a larger overlap. An unmatched detection inside
    a crowd of its class is not counted.

    Args:
        results: Detections and ground truth of each image.
        num_classes: Number of classes.

    Returns:
        (num_classes + 1, num_classes + 1) counts. Rows are true classes and columns detected classes; the last row
        counts unmatched detections, and the last column missed objects.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for result in results:
        is_counted = result.confidences >= CONFIDENCE
        detected, overlaps = result.classes[is_counted], result.overlaps()[is_counted]
        is_same_class = detected[:, None] == result.true_classes
        is_near = overlaps >= IOU
        detections, objects = np.nonzero(is_near & ~result.crowd)
        order = np.lexsort((-overlaps[detections, objects], ~is_same_class[detections, objects]))
        matches = match_in_order(detections[order], objects[order], len(detected))
        is_matched = matches != UNMATCHED
        is_wrong = ~is_matched & ~(is_near & is_same_class & result.crowd).any(axis=1)
        is_missed = ~result.crowd
        is_missed[matches[is_matched]] = False
        np.add.at(matrix, (result.true_classes[matches[is_matched]], detected[is_matched]), 1)
        matrix[num_classes, :num_classes] += np.bincount(detected[is_wrong], minlength=num_classes)
        matrix[:num_classes, num_classes] += np.bincount(result.true_classes[is_missed], minlength=num_classes)
    return matrix
