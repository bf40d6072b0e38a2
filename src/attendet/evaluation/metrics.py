"""How good detections are: COCO's average precision, precision, recall and F1, curves, confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attendet.errors import OptionError
from attendet.evaluation.coco_precision import LARGE, MEDIUM, SMALL, coco_precision
from attendet.evaluation.confusion import confusion_matrix
from attendet.evaluation.curves import CONFIDENCES, Ranking, best_confidence, rank
from attendet.evaluation.matching import GroundTruth, ImageResult
from attendet.utils.json_text import finite_or_none

__all__ = ["ClassMetrics", "Curves", "Evaluation", "GroundTruth", "Metrics"]


@dataclass(frozen=True)
class ClassMetrics:
    """How well one class is detected.

    Attributes:
        name: Its name.
        images: Number of images with objects of it.
        objects: Number of its objects, crowds not counted.
        precision: In 0-1, at `Metrics.confidence`; like all that follow None where there are no objects.
        recall: In 0-1, at `Metrics.confidence`.
        f1: In 0-1, at `Metrics.confidence`.
        ap50: Average precision at IoU 0.5, in 0-1.
        ap50_95: Mean average precision at IoU 0.50 to 0.95, in 0-1.
    """

    name: str
    images: int
    objects: int
    precision: float | None
    recall: float | None
    f1: float | None
    ap50: float | None
    ap50_95: float | None


@dataclass(frozen=True)
class Curves:
    """What the pictures show; NaN for classes without objects.

    Attributes:
        recalls: (101,) the recalls 0, 0.01 … 1.
        precision_at_recall: (classes, 101) COCO's precision at IoU 0.5: the best at that recall or a higher one.
        confidences: (1001,) the confidences 0, 0.001 … 1.
        precision: (classes, 1001) at IoU 0.5, keeping detections of at least each confidence.
        recall: (classes, 1001) likewise.
        f1: (classes, 1001) likewise.
    """

    recalls: NDArray[np.float64]
    precision_at_recall: NDArray[np.float64]
    confidences: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """What a set of detections is worth; all values in 0-1, means over the classes that have objects.

    Attributes:
        map50_95: Mean average precision at IoU 0.50 to 0.95, COCO's protocol (see `coco_precision`); like `map50`,
            `map75`, `precision`, `recall` and `f1` 0 where there are no objects at all.
        map50: The same at IoU 0.5.
        map75: The same at IoU 0.75.
        map_small: `map50_95` of boxes below 32² pixels; None where there are none, as with the next two.
        map_medium: From 32² to 96² pixels.
        map_large: Above 96² pixels.
        precision: Share of the detections that are right at `confidence` and IoU 0.5.
        recall: Share of the objects that are found, likewise.
        f1: Mean of the classes' F1, likewise.
        confidence: The confidence from which on the mean F1 is best; None where no detection is right.
        per_class: In the order of the names.
        curves: What the pictures show.
        confusion: (classes + 1, classes + 1) counts at confidence 0.25 and IoU 0.45: rows true, columns detected, last
            row detections of nothing, last column missed objects.
        images: Number of images.
        objects: Number of objects, crowds not counted.
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
        """Return plain values for JSON, None for what cannot be known.

        Args:
            curves: Include the curves, which are long.
        """
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "curves"}
        plain["per_class"] = [vars(each).copy() for each in self.per_class]
        plain["confusion"] = self.confusion.tolist()
        if curves:
            plain["curves"] = {name: finite_or_none(values.tolist()) for name, values in vars(self.curves).items()}
        return plain


class Evaluation:
    """Collects detections and truth, image by image, and measures them at the end.

    It can be pickled: of several processes each sends its own, and `merge` joins them. An image that two of them saw
    counts twice.

    Args:
        names: The classes' names, by number.

    Example:
        >>> import torch
        >>> evaluation = Evaluation(["pear"])
        >>> box = torch.tensor([[10.0, 10.0, 50.0, 50.0]])
        >>> detections = torch.tensor([[10.0, 10.0, 50.0, 46.0, 0.9, 0.0]])
        >>> evaluation.update([detections], [GroundTruth(box, torch.tensor([0]), torch.tensor([False]))])
        >>> metrics = evaluation.compute()
        >>> round(metrics.map50, 3), round(metrics.map50_95, 3), round(metrics.confidence, 3)
        (1.0, 0.9, 0.45)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._samples: list[ImageResult] = []

    def update(self, detections: Sequence[Tensor], truths: Sequence[GroundTruth]) -> None:
        """Add images.

        Args:
            detections: By image (k, 6): x1, y1, x2, y2 in pixels, confidence in 0-1, class; any order, any device,
                any floating type.
            truths: What there is to be found, by image.

        Raises:
            OptionError: If there are not as many of one as of the other, or a class has no name.
        """
        if len(detections) != len(truths):
            raise OptionError(
                f"there are detections of {len(detections)} images and truth of {len(truths)}", remedy="give both"
            )
        self._samples += [self._sample(found, truth) for found, truth in zip(detections, truths, strict=True)]

    def merge(self, other: Evaluation) -> None:
        """Add the images of another evaluation, of the same classes, after these.

        Raises:
            OptionError: If its classes are others.
        """
        if other.names != self.names:
            raise OptionError("the evaluations have different classes", remedy="merge those of one data set")
        self._samples += other._samples

    def compute(self) -> Metrics:
        """Measure all images added so far."""
        classes = len(self.names)
        precision = coco_precision(self._samples, classes)
        rankings = rank(self._samples, classes)
        confidence = best_confidence(rankings)
        per_class = []
        for number, (name, ranking) in enumerate(zip(self.names, rankings, strict=True)):
            at_best = _scores(ranking, confidence)
            images = sum(bool((sample.true_classes[~sample.crowd] == number).any()) for sample in self._samples)
            ap50 = precision.average(iou=0.5, category=number)
            ap50_95 = precision.average(category=number)
            per_class.append(ClassMetrics(name, images, ranking.objects, *at_best, ap50, ap50_95))
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
            per_class=tuple(per_class),
            curves=_curves(precision.values[0, :, :, 0].T, rankings),
            confusion=confusion_matrix(self._samples, classes),
            images=len(self._samples),
            objects=sum(ranking.objects for ranking in rankings),
        )

    def _sample(self, detections: Tensor, truth: GroundTruth) -> ImageResult:
        sample = ImageResult.of(detections, truth)
        for what, classes in (("a detection", sample.classes), ("an object", sample.true_classes)):
            unknown = classes[(classes < 0) | (classes >= len(self.names))]
            if len(unknown):
                raise OptionError(
                    f"{what} has class {unknown[0]} and the names end at {len(self.names) - 1}",
                    remedy="use the names of the data set that the model was trained on",
                )
        return sample


def _scores(ranking: Ranking, confidence: float | None) -> tuple[float | None, float | None, float | None]:
    """Return precision, recall and F1 at a confidence; where no detection is right, all of them are kept."""
    if not ranking.objects:
        return None, None, None
    scores = ranking.at(np.array([confidence or 0.0]))
    return float(scores.precision[0]), float(scores.recall[0]), float(scores.f1[0])


def _curves(precision_at_recall: NDArray[np.float64], rankings: Sequence[Ranking]) -> Curves:
    confidences = np.linspace(0, 1, CONFIDENCES)
    scores = [ranking.at(confidences) for ranking in rankings]
    return Curves(
        recalls=np.linspace(0, 1, precision_at_recall.shape[1]),
        precision_at_recall=precision_at_recall,
        confidences=confidences,
        precision=np.array([each.precision for each in scores]).reshape(-1, CONFIDENCES),
        recall=np.array([each.recall for each in scores]).reshape(-1, CONFIDENCES),
        f1=np.array([each.f1 for each in scores]).reshape(-1, CONFIDENCES),
    )


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0
