"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attendet.evaluation.matching import UNMATCHED, ImageResult, first_come

CONFIDENCE = 0.25
IOU = 0.45


def confusion_matrix(samples: Sequence[ImageResult], num_classes: int) -> NDArray[np.int64]:
    """Count what objects are taken for.

    Detections of a confidence of at least 0.25 are matched to objects of any class that they overlap by an IoU of at
    least 0.45, those of the right class first, then by overlap. A detection without an object that lies in a crowd of
    its class is not counted.

    Args:
        samples: Detections and truth by image.
        num_classes: Number of classes.

    Returns:
        (classes + 1, classes + 1): the row is the true class and the column the detected one; the last row holds
        detections of nothing, the last column objects that were missed.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for sample in samples:
        kept = sample.confidences >= CONFIDENCE
        detected, overlaps = sample.classes[kept], sample.overlaps()[kept]
        same_class = detected[:, None] == sample.true_classes
        near = overlaps >= IOU
        detections, objects = np.nonzero(near & ~sample.crowd)
        order = np.lexsort((-overlaps[detections, objects], ~same_class[detections, objects]))
        found = first_come(detections[order], objects[order], len(detected))
        matched = found != UNMATCHED
        nothing = ~matched & ~(near & same_class & sample.crowd).any(axis=1)
        missed = ~sample.crowd
        missed[found[matched]] = False
        np.add.at(matrix, (sample.true_classes[found[matched]], detected[matched]), 1)
        matrix[num_classes, :num_classes] += np.bincount(detected[nothing], minlength=num_classes)
        matrix[:num_classes, num_classes] += np.bincount(sample.true_classes[missed], minlength=num_classes)
    return matrix
