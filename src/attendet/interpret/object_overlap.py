"""How a map of weights lies on the objects of an image."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

# Below this weights are equal: sigmoids of equal logits differ in their last bits.
EQUAL = 1e-6


@dataclass(frozen=True)
class ObjectOverlap:
    """How weights lie on objects; of several images the means.

    A map that is the same everywhere has `pointing` and `energy` equal to `area`, and a correlation of 0.

    Attributes:
        pointing: The pointing game (Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016): the
            chance, 0-1, that a random point of the cell with the largest weight lies in a box; cells that share the
            largest weight count equally.
        energy: Share of the sum of all weights that lies in boxes, 0-1 (Wang et al., "Score-CAM", CVPR workshops 2020).
        area: Share of the image that lies in boxes: what both would be for weights that know nothing.
        correlation: Pearson's, of a cell's weight and the share of it that lies in boxes, -1 to 1.
    """

    pointing: float
    energy: float
    area: float
    correlation: float

    @property
    def concentration(self) -> float:
        """How many times more weight lies on a pixel in boxes than on one of the image: 1 for all alike."""
        return self.energy / self.area


def overlap_with_objects(weights: Tensor, coverage: Tensor) -> ObjectOverlap | None:
    """Return how weights lie on objects, or None where no cell or every cell is one.

    None, too, where a weight is negative: of a sum that such weights lower there are no shares.

    Args:
        weights: (H, W).
        coverage: (H, W) share of each cell that lies in boxes, 0-1.

    Example:
        >>> weights = torch.tensor([[0.9, 0.3], [0.3, 0.3]])
        >>> looked = overlap_with_objects(weights, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        >>> looked.pointing, looked.area, round(looked.energy, 3), round(looked.correlation, 3)
        (1.0, 0.25, 0.5, 1.0)
    """
    w, inside = weights.cpu().double(), coverage.cpu().double()
    if inside.max() - inside.min() < EQUAL or w.min() < 0:
        return None
    largest = w >= w.max() - EQUAL
    total = w.sum()
    away, apart = w - w.mean(), inside - inside.mean()
    is_flat = bool(w.max() - w.min() < EQUAL)
    correlation = 0.0 if is_flat else float((away * apart).sum() / (away.norm() * apart.norm()))
    return ObjectOverlap(
        pointing=float(inside[largest].mean()),
        energy=float((w * inside).sum() / total) if total > 0 else float(inside.mean()),
        area=float(inside.mean()),
        correlation=correlation,
    )


class MeanObjectOverlap:
    """The mean of how weights lie on the objects of many images."""

    def __init__(self) -> None:
        self.count = 0
        self._sums = torch.zeros(len(fields(ObjectOverlap)), dtype=torch.float64)

    def add(self, looked: ObjectOverlap | None) -> None:
        """Take one image; None is passed over."""
        if looked is not None:
            self.count += 1
            self._sums += torch.tensor(
                [getattr(looked, field.name) for field in fields(ObjectOverlap)], dtype=torch.float64
            )

    def mean(self) -> ObjectOverlap | None:
        """Return the means, or None of no image."""
        return ObjectOverlap(*(self._sums / self.count).tolist()) if self.count else None
