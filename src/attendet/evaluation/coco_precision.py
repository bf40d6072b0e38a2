"""Average precision by COCO's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from attendet.evaluation.matching import ImageResult, corner_and_size

ALL, SMALL, MEDIUM, LARGE = range(4)


@dataclass(frozen=True)
class CocoPrecision:
    """Precision at IoU 0.50, 0.55 … 0.95 and recall 0, 0.01 … 1.

    Attributes:
        values: (10, 101, classes, 4) in 0-1, by IoU, recall, class and size (all, small, medium, large); NaN where
            there are no such objects.
    """

    values: NDArray[np.float64]

    def average(self, *, iou: float | None = None, size: int = ALL, category: int | None = None) -> float | None:
        """Return the average precision, or None where there are no such objects.

        Args:
            iou: One of the ten thresholds, or None for their mean.
            size: `ALL`, `SMALL` (area below 32² pixels), `MEDIUM` (up to 96²) or `LARGE`.
            category: One class, or None for the mean of those that have such objects.
        """
        values = self.values[:, :, :, size]
        if iou is not None:
            values = values[round((iou - 0.5) / 0.05)]
        if category is not None:
            values = values[..., category]
        present = values[~np.isnan(values)]
        return float(present.mean()) if len(present) else None


def coco_precision(samples: Sequence[ImageResult], num_classes: int) -> CocoPrecision:
    """Measure detections as COCO does, with faster-coco-eval.

    That is: IoU 0.50 to 0.95 in steps of 0.05; precision at 101 recalls, each the best at that recall or a higher one;
    at most the 100 most confident detections of an image and class; crowds are ignored; an object's size is the area of
    its box in pixels.

    Args:
        samples: Detections and truth by image.
        num_classes: Number of classes.
    """
    truth, detections = [], []
    for number, sample in enumerate(samples):
        truth += _annotations(number, sample.true_boxes, sample.true_classes, iscrowd=sample.crowd.astype(int))
        detections += _annotations(number, sample.boxes, sample.classes, score=sample.confidences)
    evaluation = COCOeval_faster(
        _data_set(len(samples), num_classes, truth), _data_set(len(samples), num_classes, detections), iouType="bbox"
    )
    evaluation.params.maxDets = [100]
    evaluation.evaluate()
    evaluation.accumulate()
    values = np.asarray(evaluation.eval["precision"], np.float64)[..., -1]
    return CocoPrecision(np.where(values < 0, np.nan, values))


def _annotations(
    image: int, boxes: NDArray[np.float64], categories: NDArray[np.int64], **column: NDArray[Any]
) -> list[dict[str, Any]]:
    ((name, values),) = column.items()
    rows = zip(corner_and_size(boxes).tolist(), categories.tolist(), values.tolist(), strict=True)
    return [
        {"image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], name: value}
        for box, category, value in rows
    ]


def _data_set(images: int, classes: int, annotations: list[dict[str, Any]]) -> COCO:
    # faster-coco-eval takes 0 for "unmatched", so annotations count from 1.
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    return COCO(
        {
            "images": [{"id": number} for number in range(images)],
            "categories": [{"id": number, "name": str(number)} for number in range(classes)],
            "annotations": annotations,
        }
    )
