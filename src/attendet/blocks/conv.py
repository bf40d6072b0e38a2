"""Convolution, batch norm, and activation, the basic block of YOLOv5."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import by_arguments, widen
from attendet.errors import OptionError
from attendet.utils.text import short_repr


@block(widen)
class Conv(nn.Module):
    """Conv2d without bias → BatchNorm2d → SiLU: (N, c1, H, W) → (N, c2, H/s, W/s).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        k: Kernel size in pixels.
        s: Stride in pixels.
        p: Padding in pixels (default: half the kernel, which keeps the size for stride 1).
        g: Number of groups.
        act: Whether the block has an activation.

    Raises:
        OptionError: If `act` is not a boolean; other releases have a dilation at this position.

    Example:
        >>> Conv(3, 16, 6, 2, 2)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 16, 32, 32])
    """

    def __init__(
        self, c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        if not isinstance(act, bool):
            raise OptionError(
                f"`act` must be True or False, got {short_repr(act)}", remedy="use nn.Conv2d for a dilation"
            )
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2 if p is None else p, groups=g, bias=False)
        self.bn: nn.Module = norm(c2)
        self.act = nn.SiLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H/s, W/s)."""
        return self.act(self.bn(self.conv(x)))


@block(widen)
class DWConv(Conv):
    """`Conv` with the largest possible number of groups, gcd(c1, c2): (N, c1, H, W) → (N, c2, H/s, W/s).

    It takes the arguments of `Conv` except `p` and `g`.

    Example:
        >>> DWConv(16, 32, 3).conv.groups
        16
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, act: bool = True) -> None:
        super().__init__(c1, c2, k, s, g=math.gcd(c1, c2), act=act)


@block(widen)
class Focus(nn.Module):
    """Move each 2x2 square of pixels to the channels, then apply a `Conv`: (N, c1, H, W) → (N, c2, H/2, W/2).

    It takes the arguments of `Conv`, which has 4·c1 input channels.

    Example:
        >>> Focus(3, 16, 3)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 16, 32, 32])
    """

    def __init__(
        self, c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = Conv(4 * c1, c2, k, s, p, g, act)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H/2, W/2)."""
        return self.conv(_space_to_depth(x))


@block(by_arguments, "space_to_depth", "SpaceToDepth")
class SpaceToDepth(nn.Module):
    """Move each 2x2 square of pixels to the channels: (N, C, H, W) → (N, 4·C, H/2, W/2).

    The squares are in the order of `Focus`: the pixel itself, the one below, the one to the right, the one diagonally.

    Args:
        dimension: Dimension of the channels, as model files write it; only 1 is possible.

    Raises:
        OptionError: If `dimension` is not 1.

    Example:
        >>> SpaceToDepth()(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 12, 4, 4])
    """

    def __init__(self, dimension: int = 1) -> None:
        super().__init__()
        if dimension != 1:
            raise OptionError(f"`dimension` must be 1, got {short_repr(dimension)}")

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, 4·C, H/2, W/2)."""
        return _space_to_depth(x)


def _space_to_depth(x: Tensor) -> Tensor:
    rows = x[..., ::2, :], x[..., 1::2, :]
    return torch.cat([*(row[..., ::2] for row in rows), *(row[..., 1::2] for row in rows)], dim=1)


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with the epsilon and momentum of YOLOv5, which differ from torch's defaults."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)
