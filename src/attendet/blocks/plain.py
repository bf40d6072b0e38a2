"""Torch's own layers, and joining maps, as blocks of a model file."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import concat, keep, per_channel, widen


@block(concat)
class Concat(nn.Module):
    """Joins maps of equal size: [(N, c_i, H, W)] → (N, Σ c_i, H, W).

    Args:
        dimension: The axis along which they are joined, 1 for channels.

    Example:
        >>> Concat()([torch.rand(1, 8, 4, 4), torch.rand(1, 16, 4, 4)]).shape
        torch.Size([1, 24, 4, 4])
    """

    def __init__(self, dimension: int = 1) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the maps joined."""
        return torch.cat(list(maps), dim=self.dimension)


block(keep, "nn.Upsample", "Upsample")(nn.Upsample)
block(keep, "nn.MaxPool2d", "MaxPool2d")(nn.MaxPool2d)
block(keep, "nn.ZeroPad2d", "ZeroPad2d")(nn.ZeroPad2d)
block(keep, "nn.Identity", "Identity")(nn.Identity)
block(per_channel, "nn.BatchNorm2d", "BatchNorm2d")(nn.BatchNorm2d)
block(widen, "nn.Conv2d", "Conv2d")(nn.Conv2d)
block(widen, "nn.ConvTranspose2d", "ConvTranspose2d")(nn.ConvTranspose2d)
