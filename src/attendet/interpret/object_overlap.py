"""Measures of how attention weights overlap with the objects of an image."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor

# Weights that differ by less are equal: sigmoids of equal logits can differ in their last bits.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ObjectOverlap:
    """Measures of how weights overlap with objects; for several images, their means.

    For constant weights, `pointing` and `energy` are equal to `area`, and `correlation` is 0.

    Attributes:
        pointing: The pointing game (Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016): the
            probability, 0-1, that a random point of the cell with the largest weight is in a box. If several cells
            share the largest weight, their mean.
        energy: Fraction of the sum of all weights that is in boxes, 0-1 (Wang et al., "Score-CAM", CVPR workshops
            2020).
        area: Fraction of the image that is in boxes, 0-1: the value of both measures for constant weights.
        correlation: Pearson correlation of the weight of a cell and the fraction of the cell that is in boxes, -1
            to 1.
    """

    pointing: float
    energy: float
    area: float
    correlation: float

    @property
    def concentration(self) -> float:
        """Mean weight in boxes divided by the mean weight of the image; 1 for constant weights."""
        return self.energy / self.area

    def to_dict(self) -> dict[str, float]:
        """Return the measures as plain values, ready for JSON."""
        return {**asdict(self), "concentration": self.concentration}


def overlap_with_objects(weights: Tensor, coverage: Tensor) -> ObjectOverlap | None:
    """Measure how weights overlap with objects.

    Args:
        weights: (H, W) the weight of each cell.
        coverage: (H, W) the fraction of each cell that is in boxes, 0-1.

    Returns:
        The measures, or None if they are undefined: all cells are covered equally, or a weight is negative.

    Example:
        >>> weights = torch.tensor([[0.9, 0.3], [0.3, 0.3]])
        >>> overlap = overlap_with_objects(weights, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        >>> overlap.pointing, overlap.area, round(overlap.energy, 3), round(overlap.correlation, 3)
        (1.0, 0.25, 0.5, 1.0)
    """
    w, inside = weights.cpu().double(), coverage.cpu().double()
    if inside.max() - inside.min() < _TOLERANCE or w.min() < 0:
        return None
    is_largest = w >= w.max() - _TOLERANCE
    total = w.sum()
    w_deviation, inside_deviation = w - w.mean(), inside - inside.mean()
    is_constant = bool(w.max() - w.min() < _TOLERANCE)
    covariance, norms = (w_deviation * inside_deviation).sum(), w_deviation.norm() * inside_deviation.norm()
    return ObjectOverlap(
        pointing=float(inside[is_largest].mean()),
        energy=float((w * inside).sum() / total) if total > 0 else float(inside.mean()),
        area=float(inside.mean()),
        correlation=0.0 if is_constant else float(covariance / norms),
    )


class MeanObjectOverlap:
    """The mean of the overlaps of many images.

    Example:
        >>> mean = MeanObjectOverlap()
        >>> mean.add(ObjectOverlap(pointing=1.0, energy=0.5, area=0.25, correlation=0.5))
        >>> mean.add(None)
        >>> mean.mean().pointing, mean.count
        (1.0, 1)
    """

    def __init__(self) -> None:
        self.count = 0
        self._sums = torch.zeros(len(fields(ObjectOverlap)), dtype=torch.float64)

    def add(self, overlap: ObjectOverlap | None) -> None:
        """Add the overlap of an image. None, which stands for an image without an overlap, is ignored."""
        if overlap is not None:
            self.count += 1
            values = [getattr(overlap, field.name) for field in fields(ObjectOverlap)]
            self._sums += torch.tensor(values, dtype=torch.float64)

    def mean(self) -> ObjectOverlap | None:
        """Return the means, or None if no overlap was added."""
        return ObjectOverlap(*(self._sums / self.count).tolist()) if self.count else None
