"""The mean of a discrete distribution, as a convolution with constant weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import same_channels


@block(same_channels)
class DFL(nn.Module):
    """Mean of the distribution of each of four sides: logits (N, 4·bins, points) → sides (N, 4, points) in cells.

    Σ i · softmax(logits)ᵢ, the regression of "Generalized Focal Loss" (arXiv:2006.04388, equation 5), over the integers
    from 0 to bins − 1. They are the weights of a convolution, which is never trained; files of weights contain it.

    Args:
        bins: Number of integers in a distribution.

    Example:
        >>> DFL(4)(torch.zeros(1, 16, 2))[0, :, 0]
        tensor([1.5000, 1.5000, 1.5000, 1.5000])
    """

    def __init__(self, bins: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(requires_grad=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.arange(bins).view(1, bins, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sides (N, 4, points)."""
        distributions = x.unflatten(1, (4, self.conv.in_channels)).transpose(1, 2).softmax(dim=1)
        return self.conv(distributions).squeeze(1)
