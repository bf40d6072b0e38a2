"""The differences between an exported file and the network in torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

# In reduced precision, other rows of predictions are not compared: they cannot become detections.
_VISIBLE_SCORE = 0.05
_BEST_ROWS = 100


@dataclass(frozen=True)
class QualityComparison:
    """The quality of a network in torch and of its file, on the same images.

    Attributes:
        map_torch: mAP50-95 (0-1) of the network in torch in float32.
        map_file: mAP50-95 (0-1) of the file.
        images: Number of images.
        limit: Largest loss of mAP50-95 that the file may have.
    """

    map_torch: float
    map_file: float
    images: int
    limit: float

    @property
    def loss(self) -> float:
        """Loss of mAP50-95; negative if the file is better."""
        return self.map_torch - self.map_file

    @property
    def passes(self) -> bool:
        """Whether the loss is at most the limit."""
        # A loss of exactly the limit is not beyond it; NaN is.
        return self.loss <= self.limit + 1e-9


@dataclass(frozen=True)
class Parity:
    """The differences between an exported file and the network in torch.

    Attributes:
        tolerance: Largest value that each difference may have.
        inputs: Shapes of the images that were compared.
        real_images: Number of real images among them; the others are synthetic.
        differences: Largest difference by name. `boxes`: of a coordinate, as a fraction of the longer side of the
            canvas. `scores`: of the confidence of a class, 0-1. Of any other output, such as a gate: as a fraction of
            the largest value that torch returns.
        differing: Number of wrong and of missing detections of a file that selects detections itself, see
            `attendet.exporting.detection_check.count_differing`.
        detections: Number of detections of the file that were checked.
        quality: The quality of both on a data set; None if it was not measured.

    Example:
        >>> parity = Parity(1e-3, ((1, 3, 64, 64),), 0, {"boxes": 2e-6, "scores": 3e-2})
        >>> parity.passes, parity.failures
        (False, ('scores differ by 0.03, more than 0.001',))
    """

    tolerance: float
    inputs: tuple[tuple[int, ...], ...]
    real_images: int
    differences: Mapping[str, float]
    differing: int = 0
    detections: int = 0
    quality: QualityComparison | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """The differences that are too large, as sentences."""
        return (*self.output_failures, *self.quality_failures)

    @property
    def output_failures(self) -> tuple[str, ...]:
        """The differences of outputs and detections that are too large, as sentences."""
        # NaN compares as false.
        large = {name: value for name, value in self.differences.items() if not value <= self.tolerance}
        sentences = [f"{name} differ by {value:.2g}, more than {self.tolerance:g}" for name, value in large.items()]
        if self.differing:
            sentences.append(f"{self.differing} of {self.detections} detections differ")
        return tuple(sentences)

    @property
    def quality_failures(self) -> tuple[str, ...]:
        """The loss of mAP that is too large, as a sentence."""
        quality = self.quality
        if quality is None or quality.passes:
            return ()
        values = f"mAP50-95 is {quality.map_file:.3f} instead of {quality.map_torch:.3f} in torch"
        return (f"{values}: {100 * quality.loss:.1f} points lost, more than {100 * quality.limit:g}",)

    @property
    def passes(self) -> bool:
        """Whether no difference is too large."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values, ready for JSON."""
        inputs = [list(shape) for shape in self.inputs]
        return {**asdict(self), "inputs": inputs, "differences": dict(self.differences), "passes": self.passes}


def compare_predictions(expected: Tensor, actual: Tensor, longer_side: int, *, exact: bool) -> dict[str, float]:
    """Return the largest differences of boxes and scores in predictions.

    Args:
        expected: Predictions (N, rows, 4 + num_classes) of torch.
        actual: Predictions of the file.
        longer_side: Longer side of the canvas in pixels.
        exact: Whether all rows are compared, instead of the rows that have a score above 0.05 on either side and the
            100 rows of each image that have the highest scores in torch.

    Example:
        >>> expected = torch.tensor([[[8.0, 8.0, 4.0, 4.0, 0.9]]])
        >>> compare_predictions(expected, expected + 0.5, 64, exact=True)["boxes"]
        0.0078125
    """
    if expected.shape != actual.shape:
        return {"boxes": torch.inf, "scores": torch.inf}
    if not exact:
        scores = torch.stack([each[..., 4:].amax(-1) for each in (expected, actual)])
        best = scores[0].topk(min(_BEST_ROWS, scores.shape[2]), dim=1).indices
        is_visible = (scores > _VISIBLE_SCORE).any(0).scatter(1, best, value=True)
        expected, actual = expected[is_visible], actual[is_visible]
    difference = (expected - actual).abs()
    return {"boxes": _largest(difference[..., :4]) / longer_side, "scores": _largest(difference[..., 4:])}


def compare_output(expected: Tensor, actual: Tensor) -> float:
    """Return the largest difference of an output, as a fraction of the largest value that torch returns.

    Example:
        >>> round(compare_output(torch.tensor([10.0, 0.0]), torch.tensor([10.0, 0.1])), 6)
        0.01
    """
    if expected.shape != actual.shape:
        return torch.inf
    largest = _largest(expected.abs())
    return _largest((expected - actual).abs()) / (largest or 1.0)


def merge_differences(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest of the differences by name; NaN is larger than any number.

    Example:
        >>> merge_differences([{"boxes": 0.1}, {"boxes": float("nan")}, {"scores": 0.2}])
        {'boxes': nan, 'scores': 0.2}
    """
    merged: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            known = merged.get(name, 0.0)
            merged[name] = known if value <= known or math.isnan(known) else value
    return merged


def _largest(values: Tensor) -> float:
    return float(values.max()) if values.numel() else 0.0
