"""The mean of a discrete distribution, as a convolution with constant weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import by_arguments
from attendet.detection.point_decoding import mean_distances
from attendet.errors import OptionError


@block(by_arguments)
class DFL(nn.Module):
    """Mean of the distribution of each of four sides: logits (N, 4·bins, H, W) → sides (N, 4, H, W) in cells.

    Σ i · softmax(logits)ᵢ, the regression of "Generalized Focal Loss" (arXiv:2006.04388, equation 5), over the integers
    from 0 to bins − 1. Files of weights contain the integers as the weights of a convolution, which is never trained.

    Args:
        bins: Number of integers in a distribution, at least 1.

    Raises:
        OptionError: If `bins` is not a positive integer.

    Example:
        >>> DFL(4)(torch.zeros(1, 16, 1, 2))[0, :, 0, 0]
        tensor([1.5000, 1.5000, 1.5000, 1.5000])
    """

    def __init__(self, bins: int = 16) -> None:
        super().__init__()
        if type(bins) is not int or bins < 1:
            raise OptionError(f"`bins` must be a positive integer, got {bins!r}")
        self.conv = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(requires_grad=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.arange(bins).view(1, bins, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sides (N, 4, H, W), or (N, 4, points) of logits (N, 4·bins, points).

        Raises:
            OptionError: If the number of channels is not 4·bins.
        """
        bins = self.conv.in_channels
        if x.shape[1] != 4 * bins:
            raise OptionError(f"the input of DFL must have 4 · {bins} = {4 * bins} channels, got {x.shape[1]}")
        return mean_distances(x).unflatten(2, x.shape[2:])
