"""Mean and variance of tensors that arrive one batch after another, element by element."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Mean and variance over all tensors so far, of each element by itself.

    Batches are merged by the formulas of Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances" (1979), which lose no digits where a mean is large beside its deviations. What is kept
    does not grow with the number of tensors.

    Attributes:
        count: Tensors so far.
        mean: Of each element, float64 on the CPU; empty before the first batch, as `variance` is.

    Example:
        >>> moments = Moments()
        >>> moments.update(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> moments.update(torch.tensor([[8.0, 5.0]]))
        >>> moments.mean.tolist(), moments.variance.round(decimals=3).tolist()
        ([4.0, 5.0], [8.667, 0.0])
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self._squares = torch.zeros(0, dtype=torch.float64)

    @property
    def variance(self) -> Tensor:
        """Of each element over the tensors: the mean of the squared deviations."""
        return self._squares / max(1, self.count)

    def update(self, batch: Tensor) -> None:
        """Take a batch (n, ...) of tensors whose shape broadcasts with that of those before.

        A batch (n, C, 1, 1) after batches of (n, C, H, W) stands for one that is the same at all positions.
        """
        if not len(batch):
            return
        # Not every accelerator has float64; of a few tensors near their own mean float32 loses nothing.
        values = batch.detach().float()
        centre = values.mean(0)
        squares = (values - centre).square().sum(0).cpu().double()
        mean, count = centre.cpu().double(), len(values)
        if not self.count:
            self.count, self.mean, self._squares = count, mean, squares
            return
        whole = self.count + count
        away = mean - self.mean
        self._squares = self._squares + squares + away.square() * (self.count * count / whole)
        self.mean = self.mean + away * (count / whole)
        self.count = whole
