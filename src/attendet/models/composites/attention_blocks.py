"""Blocks with attention inside or after them: C3, Conv, and residual bottlenecks, with any attention module.

Each class takes the arguments of the block that it extends, and `attention`, a function that returns a new attention
module for a number of channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from torch import Tensor, nn

from attendet.blocks.conv import Conv, norm
from attendet.blocks.csp import C3, Bottleneck
from attendet.blocks.wiring import chain
from attendet.errors import OptionError
from attendet.utils.text import short_repr

AttentionFactory: TypeAlias = Callable[[int], nn.Module]
Place = Literal["inside", "instead"]


class AttentionBottleneck(Bottleneck):
    """`Bottleneck` with attention at the end of its branch, before the addition.

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        shortcut: Whether the input is added if c1 equals c2.
        e: Hidden channels as a fraction of c2.
        kernel_sizes: Kernel sizes of the two convolutions in pixels.
        attention: Returns a new attention module for c2 channels.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> AttentionBottleneck(64, 64, attention=CBAM)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        shortcut: bool = True,
        e: float = 0.5,
        *,
        kernel_sizes: tuple[int, int] = (1, 3),
        attention: AttentionFactory,
    ) -> None:
        super().__init__(c1, c2, shortcut, e, kernel_sizes=kernel_sizes)
        self.attention = attention(c2)

    def branch(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W) that are added to the input."""
        return self.attention(super().branch(x))


class AttentionResNetBottleneck(nn.Module):
    """Residual bottleneck of ResNet-50 with attention before the addition: (N, c1, H, W) → (N, c2, H, W).

    1x1, 3x3, and 1x1 convolutions with batch norms (arXiv:1512.03385, figure 5), then attention; ReLU follows the
    addition. A 1x1 convolution adapts the input if c1 differs from c2.

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        shortcut: Whether the input is added.
        e: Hidden channels as a fraction of c2.
        attention: Returns a new attention module for c2 channels.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> AttentionResNetBottleneck(64, 128, attention=CBAM)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, shortcut: bool = True, e: float = 0.25, *, attention: AttentionFactory
    ) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.bn1 = norm(hidden)
        self.cv2 = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.bn2 = norm(hidden)
        self.cv3 = nn.Conv2d(hidden, c2, 1, bias=False)
        self.bn3 = norm(c2)
        self.act = nn.ReLU()
        self.attention = attention(c2)
        adapt = shortcut and c1 != c2
        self.projection = nn.Sequential(nn.Conv2d(c1, c2, 1, bias=False), norm(c2)) if adapt else nn.Identity()
        self.add = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        y = self.act(self.bn1(self.cv1(x)))
        y = self.act(self.bn2(self.cv2(y)))
        y = self.attention(self.bn3(self.cv3(y)))
        return self.act(y + self.projection(x) if self.add else y)


class AttentionC3(C3):
    """`C3` with attention in every bottleneck, or in place of every bottleneck.

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        n: Number of bottlenecks.
        shortcut: Whether the bottlenecks add their input.
        e: Hidden channels as a fraction of c2.
        bottleneck: Hidden channels of each bottleneck as a fraction of its channels: 1.0 as in C3; some forks have 0.5.
        place: `inside` the bottlenecks, or `instead` of them.
        attention: Returns a new attention module for a number of channels.

    Raises:
        OptionError: If `place` is neither of the two.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> AttentionC3(128, 128, n=2, attention=CBAM)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        shortcut: bool = True,
        e: float = 0.5,
        *,
        bottleneck: float = 1.0,
        place: Place = "inside",
        attention: AttentionFactory,
    ) -> None:
        make = attention_layer(place, shortcut, bottleneck, (1, 3), attention)
        super().__init__(c1, c2, n, shortcut, e, middle=lambda hidden: chain(n, lambda: make(hidden)))


class C3Attention(C3):
    """`C3` with one attention module after its last convolution.

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        n: Number of bottlenecks.
        shortcut: Whether the bottlenecks add their input.
        e: Hidden channels as a fraction of c2.
        attention: Returns a new attention module for c2 channels.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> C3Attention(64, 64, attention=CBAM)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, *, attention: AttentionFactory
    ) -> None:
        super().__init__(c1, c2, n, shortcut, e)
        self.attention = attention(c2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        return self.attention(super().forward(x))


class ConvAttention(Conv):
    """`Conv` followed by attention: (N, c1, H, W) → (N, c2, H/s, W/s).

    It takes the arguments of `Conv`, and `attention`, which returns a new attention module for c2 channels.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> ConvAttention(64, 128, 3, 2, attention=CBAM)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 128, 4, 4])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 1,
        s: int = 1,
        p: int | None = None,
        g: int = 1,
        act: bool = True,
        *,
        attention: AttentionFactory,
    ) -> None:
        super().__init__(c1, c2, k, s, p, g, act)
        self.attention = attention(c2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H/s, W/s)."""
        return self.attention(super().forward(x))


def attention_layer(
    place: Place, shortcut: bool, e: float, kernel_sizes: tuple[int, int], attention: AttentionFactory
) -> AttentionFactory:
    """Return a function that makes one layer of the chain in a CSP block, given its channels.

    Args:
        place: `inside` a bottleneck, or `instead` of it.
        shortcut: Whether the bottleneck adds its input.
        e: Hidden channels of the bottleneck as a fraction of its channels.
        kernel_sizes: Kernel sizes of the two convolutions of the bottleneck in pixels.
        attention: Returns a new attention module for a number of channels.

    Raises:
        OptionError: If `place` is neither of the two, or `e` is not a float.
    """
    if place not in ("inside", "instead"):
        raise OptionError(f"`place` must be 'inside' or 'instead', got {short_repr(place)}")
    if not isinstance(e, float):
        raise OptionError(f"`bottleneck` must be a fraction such as 0.5 or 1.0, got {short_repr(e)}")
    if place == "instead":
        return attention
    return lambda width: AttentionBottleneck(width, width, shortcut, e, kernel_sizes=kernel_sizes, attention=attention)
