"""The detections of a validation as a record: which of them match an object, image by image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from attendet.data.records import ImageRecord, Split
from attendet.evaluation.inference import ground_truth
from attendet.evaluation.matching import ImageResult, match_at_thresholds
from attendet.evaluation.validation import Validation
from attendet.study.image_records import IOUS, ImageMatches, sort_matches

# COCO's protocol counts this many detections per image and class, the most confident ones.
_MAX_DETECTIONS = 100
_BITS = 1 << np.arange(len(IOUS))


def collect_matches(validation: Validation, split: Split) -> ImageMatches:
    """Return which detections of a validation match an object, at COCO's ten IoU thresholds.

    Args:
        validation: The validation of a network on a split.
        split: The split; its order determines the indices of the images.
    """
    columns: dict[str, list[np.ndarray]] = {}
    object_images: list[np.ndarray] = []
    object_classes: list[np.ndarray] = []
    # A validation groups images by the shape of their canvases, which may differ between two runs.
    place = dict(zip(_in_order_of_paths(validation.records), _in_order_of_paths(split.records), strict=True))
    for number in sorted(range(len(validation.records)), key=place.__getitem__):
        image = place[number]
        result = ImageResult.from_tensors(validation.detections[number], ground_truth(validation.records[number]))
        matched, ignored = match_at_thresholds(result, IOUS)
        counted = _ranks_in_class(result.classes) < _MAX_DETECTIONS
        rows = {
            "image_indices": np.full(len(counted), image),
            "classes": result.classes,
            "confidences": result.confidences,
            "matches": matched @ _BITS,
            "ignored": ignored @ _BITS,
        }
        for name, values in rows.items():
            columns.setdefault(name, []).append(values[counted])
        classes = result.true_classes[~result.crowd]
        object_images.append(np.full(len(classes), image))
        object_classes.append(classes)
    detections = {name: np.concatenate(parts) for name, parts in columns.items()}
    objects = (np.concatenate(object_images), np.concatenate(object_classes))
    return sort_matches(split.fingerprint(), len(split.records), detections, objects)


def _ranks_in_class(classes: np.ndarray) -> np.ndarray:
    """Return the rank of each detection, from 0, among the detections of its class, which come in order of rank."""
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], classes[order], side="left")
    ranks = np.empty(len(classes), np.int64)
    ranks[order] = np.arange(len(classes)) - starts
    return ranks


def _in_order_of_paths(records: Iterable[ImageRecord]) -> list[int]:
    paths = [str(record.image) for record in records]
    return sorted(range(len(paths)), key=paths.__getitem__)
