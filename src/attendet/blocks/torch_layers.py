"""Concatenation and layers of torch as blocks of a model file."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import concat, per_channel, same_channels, widen
from attendet.errors import OptionError
from attendet.utils.text import short_repr


@block(concat)
class Concat(nn.Module):
    """Concatenation of maps of equal size along the channels: [(N, c_i, H, W)] → (N, Σ c_i, H, W).

    Args:
        dimension: Axis of the concatenation; must be 1, the channels.

    Raises:
        OptionError: If `dimension` is not 1.

    Example:
        >>> Concat()([torch.rand(1, 8, 4, 4), torch.rand(1, 16, 4, 4)]).shape
        torch.Size([1, 24, 4, 4])
    """

    def __init__(self, dimension: int = 1) -> None:
        super().__init__()
        if dimension != 1:
            raise OptionError(f"`dimension` of Concat must be 1 (channels), got {short_repr(dimension)}")

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the concatenated maps (N, Σ c_i, H, W)."""
        return torch.cat(list(maps), dim=1)


# The layers of torch, restricted to the arguments that model files use. The classes also accept a device and a dtype.


@block(same_channels, "nn.Upsample", "Upsample")
def upsample(
    size: int | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> nn.Upsample:
    """Return an upsampling layer with a scale factor, or to a size in pixels."""
    return nn.Upsample(size, scale_factor, mode, align_corners)


@block(same_channels, "nn.MaxPool2d", "MaxPool2d")
def max_pool2d(k: int, s: int | None = None, p: int = 0) -> nn.MaxPool2d:
    """Return a max pool with kernel size k, stride s, and padding p in pixels."""
    return nn.MaxPool2d(k, s, p)


@block(same_channels, "nn.ZeroPad2d", "ZeroPad2d")
def zero_pad2d(padding: int | list[int]) -> nn.ZeroPad2d:
    """Return a padding in pixels, for all sides, or for left, right, top, and bottom."""
    return nn.ZeroPad2d(padding if isinstance(padding, int) else tuple(padding))  # pyright: ignore[reportArgumentType]


@block(same_channels, "nn.Identity", "Identity")
def identity() -> nn.Identity:
    """Return an identity layer."""
    return nn.Identity()


@block(per_channel, "nn.BatchNorm2d", "BatchNorm2d")
def batch_norm2d(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with the default epsilon and momentum of torch."""
    return nn.BatchNorm2d(channels)


@block(widen, "nn.Conv2d", "Conv2d")
def conv2d(
    c1: int, c2: int, k: int = 1, s: int = 1, p: int = 0, d: int = 1, g: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Return a convolution with kernel size k, stride s, and padding p in pixels, dilation d, and g groups."""
    return nn.Conv2d(c1, c2, k, s, p, d, g, bias)


@block(widen, "nn.ConvTranspose2d", "ConvTranspose2d")
def conv_transpose2d(c1: int, c2: int, k: int = 1, s: int = 1, p: int = 0) -> nn.ConvTranspose2d:
    """Return a transposed convolution with kernel size k, stride s, and padding p in pixels."""
    return nn.ConvTranspose2d(c1, c2, k, s, p)
