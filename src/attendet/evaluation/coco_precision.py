"""Average precision by COCO's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from attendet.evaluation.matching import ImageResult, to_xywh

ALL, SMALL, MEDIUM, LARGE = range(4)
"""Indices of the object sizes in `CocoPrecision.values`."""


@dataclass(frozen=True)
class CocoPrecision:
    """Precision at the IoU thresholds 0.50, 0.55 … 0.95 and the recalls 0, 0.01 … 1.

    Attributes:
        values: (10, 101, num_classes, 4) in 0-1, by IoU, recall, class, and object size (`ALL`, `SMALL`, `MEDIUM`,
            `LARGE`); NaN for a class that has no objects of the size.
    """

    values: NDArray[np.float64]

    def average(self, *, iou: float | None = None, size: int = ALL, category: int | None = None) -> float | None:
        """Return the average precision, or None if no objects meet the conditions.

        Args:
            iou: One of the ten IoU thresholds (default: the mean over all ten).
            size: `ALL`, `SMALL` (boxes below 32² pixels), `MEDIUM` (up to 96²), or `LARGE`.
            category: Index of a class (default: the mean over the classes that have such objects).
        """
        values = self.values[:, :, :, size]
        if iou is not None:
            values = values[round((iou - 0.5) / 0.05)]
        if category is not None:
            values = values[..., category]
        present = values[~np.isnan(values)]
        return float(present.mean()) if len(present) else None


def compute_coco_precision(results: Sequence[ImageResult], num_classes: int) -> CocoPrecision:
    """Measure detections as COCO does, with faster-coco-eval.

    COCO's protocol: IoU thresholds 0.50 to 0.95 in steps of 0.05; precision at 101 recalls, each the largest precision
    at that recall or a higher one; at most the 100 most confident detections per image and class; crowds are ignored;
    the size of an object is the area of its box in pixels.

    Args:
        results: Detections and ground truth of each image.
        num_classes: Number of classes.
    """
    truth, detections = [], []
    for image, result in enumerate(results):
        truth += _annotations(image, result.true_boxes, result.true_classes, iscrowd=result.crowd.astype(int))
        detections += _annotations(image, result.boxes, result.classes, score=result.confidences)
    evaluation = COCOeval_faster(
        _data_set(len(results), num_classes, truth), _data_set(len(results), num_classes, detections), iouType="bbox"
    )
    evaluation.params.maxDets = [100]
    evaluation.evaluate()
    evaluation.accumulate()
    values = np.asarray(evaluation.eval["precision"], np.float64)[..., -1]
    return CocoPrecision(np.where(values < 0, np.nan, values))


def _annotations(
    image: int, boxes: NDArray[np.float64], classes: NDArray[np.int64], **column: NDArray[Any]
) -> list[dict[str, Any]]:
    ((name, values),) = column.items()
    rows = zip(to_xywh(boxes).tolist(), classes.tolist(), values.tolist(), strict=True)
    return [
        {"image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], name: value}
        for box, category, value in rows
    ]


def _data_set(num_images: int, num_classes: int, annotations: list[dict[str, Any]]) -> COCO:
    # faster-coco-eval uses the id 0 for "unmatched", so the ids start at 1.
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    return COCO(
        {
            "images": [{"id": image} for image in range(num_images)],
            "categories": [{"id": category, "name": str(category)} for category in range(num_classes)],
            "annotations": annotations,
        }
    )
