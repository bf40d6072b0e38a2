"""The quality of detections: average precision, precision, recall, F1, their curves, and confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attendet.errors import OptionError
from attendet.evaluation.coco_precision import LARGE, MEDIUM, SMALL, CocoPrecision, compute_coco_precision
from attendet.evaluation.confusion import confusion_matrix
from attendet.evaluation.curves import NUM_CONFIDENCES, RankedDetections, best_confidence, rank_detections
from attendet.evaluation.matching import GroundTruth, ImageResult
from attendet.utils.html import Markup, html_table
from attendet.utils.json_text import finite_or_none
from attendet.utils.text import plural


@dataclass(frozen=True)
class ClassMetrics:
    """The quality of the detections of one class.

    Attributes:
        name: Name of the class.
        images: Number of images with objects of the class.
        objects: Number of objects of the class, without crowds.
        precision: Fraction of the detections that are right, 0-1, at `Metrics.confidence` and IoU 0.5. This and all
            attributes below are None if the class has no objects.
        recall: Fraction of the objects that are found, 0-1, at `Metrics.confidence` and IoU 0.5.
        f1: Harmonic mean of precision and recall.
        ap50: Average precision at IoU 0.5, 0-1.
        ap50_95: Mean of the average precision at IoU 0.50 to 0.95, 0-1.
    """

    name: str
    images: int
    objects: int
    precision: float | None
    recall: float | None
    f1: float | None
    ap50: float | None
    ap50_95: float | None


@dataclass(frozen=True, repr=False)
class Curves:
    """Curves of each class, all in 0-1; NaN for a class that has no objects.

    Attributes:
        recalls: (101,) the recalls 0, 0.01 … 1.
        precision_at_recall: (num_classes, 101) COCO's precision at IoU 0.5: the largest at that recall or a higher one.
        confidences: (1001,) the confidence thresholds 0, 0.001 … 1.
        precision: (num_classes, 1001) at each threshold and IoU 0.5.
        recall: (num_classes, 1001) at each threshold and IoU 0.5.
        f1: (num_classes, 1001) at each threshold and IoU 0.5.
    """

    recalls: NDArray[np.float64]
    precision_at_recall: NDArray[np.float64]
    confidences: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the curves as nested lists, ready for JSON; None replaces NaN."""
        return {field.name: finite_or_none(getattr(self, field.name).tolist()) for field in fields(self)}

    def __repr__(self) -> str:
        """Show the number of classes instead of thousands of numbers."""
        return f"Curves({plural(len(self.f1), 'class', 'classes')})"


@dataclass(frozen=True)
class Metrics:
    """The quality of detections on a set of images. Scores are in 0-1, and means over the classes that have objects.

    Attributes:
        map50_95: Mean average precision at IoU 0.50 to 0.95, by COCO's protocol (see `compute_coco_precision`). This,
            `map50`, `map75`, `precision`, `recall`, and `f1` are 0 if there are no objects.
        map50: Mean average precision at IoU 0.5.
        map75: Mean average precision at IoU 0.75.
        map_small: `map50_95` of boxes below 32² pixels; None if there are no such objects, as for the next two.
        map_medium: `map50_95` of boxes from 32² to 96² pixels.
        map_large: `map50_95` of boxes above 96² pixels.
        precision: Fraction of the detections that are right, at `confidence` and IoU 0.5.
        recall: Fraction of the objects that are found, at `confidence` and IoU 0.5.
        f1: Mean F1 of the classes, at `confidence` and IoU 0.5.
        confidence: The confidence threshold with the highest mean F1; None if no detection is right.
        per_class: Metrics of each class, in the order of the class indices.
        curves: Precision, recall, and F1 over recall and confidence.
        confusion: (num_classes + 1, num_classes + 1) counts at confidence 0.25 and IoU 0.45, see `confusion_matrix`.
        images: Number of images.
        objects: Number of objects, without crowds.
    """

    map50_95: float
    map50: float
    map75: float
    map_small: float | None
    map_medium: float | None
    map_large: float | None
    precision: float
    recall: float
    f1: float
    confidence: float | None
    per_class: tuple[ClassMetrics, ...]
    curves: Curves
    confusion: NDArray[np.int64]
    images: int
    objects: int

    def to_dict(self, *, curves: bool = False) -> dict[str, Any]:
        """Return the metrics as plain values, ready for JSON.

        Args:
            curves: Whether the curves, which are long, are included.
        """
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "curves"}
        plain["per_class"] = [asdict(each) for each in self.per_class]
        plain["confusion"] = self.confusion.tolist()
        if curves:
            plain["curves"] = self.curves.to_dict()
        return plain

    def __repr__(self) -> str:
        """Show the main scores and the size of the data."""
        names = ("map50_95", "map50", "precision", "recall", "f1")
        scores = ", ".join(f"{name}={getattr(self, name):.3f}" for name in names)
        return f"Metrics({scores}, images={self.images}, objects={self.objects}, classes={len(self.per_class)})"

    def _repr_html_(self) -> Markup:
        means = (self.precision, self.recall, self.f1, self.map50, self.map50_95)
        rows = [("all", self.images, self.objects, *map(_score, means))]
        for each in self.per_class:
            scores = (each.precision, each.recall, each.f1, each.ap50, each.ap50_95)
            rows.append((each.name, each.images, each.objects, *map(_score, scores)))
        header = ("class", "images", "objects", "precision", "recall", "F1", "mAP50", "mAP50-95")
        return html_table(header, rows, text_columns=1, label="metrics")


class Evaluation:
    """A collector of detections and ground truth, image by image, that measures them at the end.

    Evaluations can be pickled, so that several processes can each measure some images and `merge` the evaluations. An
    image that two processes add counts twice.

    Args:
        names: Class names, in the order of their indices.

    Example:
        >>> import torch
        >>> evaluation = Evaluation(["pear"])
        >>> box = torch.tensor([[10.0, 10.0, 50.0, 50.0]])
        >>> detections = torch.tensor([[10.0, 10.0, 50.0, 46.0, 0.9, 0.0]])
        >>> evaluation.update([detections], [GroundTruth(box, torch.tensor([0]), torch.tensor([False]))])
        >>> evaluation.compute()
        Metrics(map50_95=0.900, map50=1.000, precision=1.000, recall=1.000, f1=1.000, images=1, objects=1, classes=1)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._results: list[ImageResult] = []

    def update(self, detections: Sequence[Tensor], truths: Sequence[GroundTruth]) -> None:
        """Add images.

        Args:
            detections: One tensor (k, 6) per image, in any order, on any device, and of any floating type: x1, y1, x2,
                y2 in pixels, confidence in 0-1, class.
            truths: The objects of each image.

        Raises:
            OptionError: If the two sequences have different lengths, or a class index has no name.
        """
        if len(detections) != len(truths):
            raise OptionError(
                f"`truths` must have one entry per image, got {len(truths)} for {plural(len(detections), 'image')}"
            )
        self._results += [self._result(rows, truth) for rows, truth in zip(detections, truths, strict=True)]

    def merge(self, other: Evaluation) -> None:
        """Add the images of another evaluation of the same classes.

        Raises:
            OptionError: If the other evaluation has other classes.
        """
        if other.names != self.names:
            raise OptionError(f"`other` must have the classes {self.names}, got {other.names}")
        self._results += other._results

    def compute(self) -> Metrics:
        """Measure all images that have been added."""
        precision = compute_coco_precision(self._results, len(self.names))
        ranked = rank_detections(self._results, len(self.names))
        confidence = best_confidence(ranked)
        per_class = self._per_class(precision, ranked, confidence)
        present = [each for each in per_class if each.objects]
        return Metrics(
            map50_95=precision.average() or 0.0,
            map50=precision.average(iou=0.5) or 0.0,
            map75=precision.average(iou=0.75) or 0.0,
            map_small=precision.average(size=SMALL),
            map_medium=precision.average(size=MEDIUM),
            map_large=precision.average(size=LARGE),
            precision=_mean([each.precision for each in present]),
            recall=_mean([each.recall for each in present]),
            f1=_mean([each.f1 for each in present]),
            confidence=confidence,
            per_class=per_class,
            curves=_curves(precision.values[0, :, :, 0].T, ranked),
            confusion=confusion_matrix(self._results, len(self.names)),
            images=len(self._results),
            objects=sum(each.objects for each in ranked),
        )

    def _per_class(
        self, precision: CocoPrecision, ranked: Sequence[RankedDetections], confidence: float | None
    ) -> tuple[ClassMetrics, ...]:
        metrics = []
        for index, (name, detections) in enumerate(zip(self.names, ranked, strict=True)):
            images = sum(bool((each.true_classes[~each.crowd] == index).any()) for each in self._results)
            ap50, ap50_95 = precision.average(iou=0.5, category=index), precision.average(category=index)
            scores = _scores_at(detections, confidence)
            metrics.append(ClassMetrics(name, images, detections.objects, *scores, ap50, ap50_95))
        return tuple(metrics)

    def _result(self, detections: Tensor, truth: GroundTruth) -> ImageResult:
        result = ImageResult.from_tensors(detections, truth)
        for what, classes in (("detection", result.classes), ("object", result.true_classes)):
            unknown = classes[(classes < 0) | (classes >= len(self.names))]
            if len(unknown):
                raise OptionError(
                    f"the class of each {what} must be 0 to {len(self.names) - 1}, got {unknown[0]}",
                    remedy="use the class names of the data set that the model was trained on",
                )
        return result


def _scores_at(
    detections: RankedDetections, confidence: float | None
) -> tuple[float | None, float | None, float | None]:
    """Return precision, recall, and F1 at a confidence, or of all detections if it is None."""
    if not detections.objects:
        return None, None, None
    scores = detections.scores_at(np.array([confidence or 0.0]))
    return float(scores.precision[0]), float(scores.recall[0]), float(scores.f1[0])


def _curves(precision_at_recall: NDArray[np.float64], ranked: Sequence[RankedDetections]) -> Curves:
    confidences = np.linspace(0, 1, NUM_CONFIDENCES)
    scores = [each.scores_at(confidences) for each in ranked]
    return Curves(
        recalls=np.linspace(0, 1, precision_at_recall.shape[1]),
        precision_at_recall=precision_at_recall,
        confidences=confidences,
        precision=np.array([each.precision for each in scores]).reshape(-1, NUM_CONFIDENCES),
        recall=np.array([each.recall for each in scores]).reshape(-1, NUM_CONFIDENCES),
        f1=np.array([each.f1 for each in scores]).reshape(-1, NUM_CONFIDENCES),
    )


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
