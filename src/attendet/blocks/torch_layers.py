"""Torch's own layers, and joining maps, as blocks of a model file."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import concat, keep, per_channel, widen
from attendet.errors import OptionError


@block(concat)
class Concat(nn.Module):
    """Joins maps of equal size: [(N, c_i, H, W)] → (N, Σ c_i, H, W).

    Args:
        dimension: The axis along which they are joined; there is only 1, the channels.

    Raises:
        OptionError: If it is another.

    Example:
        >>> Concat()([torch.rand(1, 8, 4, 4), torch.rand(1, 16, 4, 4)]).shape
        torch.Size([1, 24, 4, 4])
    """

    def __init__(self, dimension: int = 1) -> None:
        super().__init__()
        if dimension != 1:
            raise OptionError(f"it joins along axis {dimension}", remedy="write 1, for channels")

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the maps joined."""
        return torch.cat(list(maps), dim=1)


# Torch's layers with the arguments that model files give them, and no others: behind those come a device and a dtype.


@block(keep, "nn.Upsample", "Upsample")
def upsample(
    size: int | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> nn.Upsample:
    """Return torch's upsampling by a factor, or to a size in pixels."""
    return nn.Upsample(size, scale_factor, mode, align_corners)


@block(keep, "nn.MaxPool2d", "MaxPool2d")
def max_pool(k: int, s: int | None = None, p: int = 0) -> nn.MaxPool2d:
    """Return torch's max-pool of side k, stride s and padding p, in pixels."""
    return nn.MaxPool2d(k, s, p)


@block(keep, "nn.ZeroPad2d", "ZeroPad2d")
def zero_pad(padding: int | list[int]) -> nn.ZeroPad2d:
    """Return torch's padding, in pixels: on all sides, or left, right, top and bottom."""
    return nn.ZeroPad2d(padding if isinstance(padding, int) else tuple(padding))  # pyright: ignore[reportArgumentType]


@block(keep, "nn.Identity", "Identity")
def identity() -> nn.Identity:
    """Return torch's identity."""
    return nn.Identity()


@block(per_channel, "nn.BatchNorm2d", "BatchNorm2d")
def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return torch's batch norm with torch's own epsilon and momentum."""
    return nn.BatchNorm2d(channels)


@block(widen, "nn.Conv2d", "Conv2d")
def conv(c1: int, c2: int, k: int = 1, s: int = 1, p: int = 0, d: int = 1, g: int = 1, bias: bool = True) -> nn.Conv2d:
    """Return torch's convolution: kernel side k, stride s and padding p in pixels, dilation d, groups g."""
    return nn.Conv2d(c1, c2, k, s, p, d, g, bias)


@block(widen, "nn.ConvTranspose2d", "ConvTranspose2d")
def conv_transpose(c1: int, c2: int, k: int = 1, s: int = 1, p: int = 0) -> nn.ConvTranspose2d:
    """Return torch's transposed convolution: kernel side k, stride s and padding p in pixels."""
    return nn.ConvTranspose2d(c1, c2, k, s, p)
