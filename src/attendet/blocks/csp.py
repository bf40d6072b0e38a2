"""Cross-stage partial (CSP) blocks: one half of the channels passes a chain of bottlenecks, the other skips it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv, norm
from attendet.blocks.ghost import GhostBottleneck
from attendet.blocks.pool import SPP
from attendet.blocks.transformer import TransformerBlock
from attendet.blocks.wiring import chain, widen, widen_and_repeat
from attendet.errors import OptionError
from attendet.utils.text import short_repr


@block(widen)
class Bottleneck(nn.Module):
    """Two convolutions, to the hidden channels and to c2, plus the input: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        shortcut: Whether the input is added if c1 equals c2.
        e: Hidden channels as a fraction of c2.
        kernel_sizes: Kernel sizes of the two convolutions in pixels: (1, 3) in YOLOv5, (3, 3) inside `C2f`.

    Raises:
        OptionError: If `shortcut` is not a boolean, or `e` is not a float.

    Example:
        >>> Bottleneck(16, 16)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, shortcut: bool = True, e: float = 0.5, *, kernel_sizes: tuple[int, int] = (1, 3)
    ) -> None:
        super().__init__()
        hidden = hidden_width(c2, shortcut, e)
        self.cv1 = Conv(c1, hidden, kernel_sizes[0])
        self.cv2 = Conv(hidden, c2, kernel_sizes[1])
        self.add = shortcut and c1 == c2

    def branch(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W) that are added to the input."""
        return self.cv2(self.cv1(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        return x + self.branch(x) if self.add else self.branch(x)


@block(widen_and_repeat)
class C3(nn.Module):
    """CSP block with three convolutions, cv3(cat(m(cv1(x)), cv2(x))): (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        n: Number of bottlenecks in the chain m.
        shortcut: Whether the bottlenecks add their input.
        e: Hidden channels h as a fraction of c2.
        middle: Returns a module h → h channels that replaces the chain, given h.

    Raises:
        OptionError: If `shortcut` is not a boolean, or `e` is not a float.

    Example:
        >>> C3(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        shortcut: bool = True,
        e: float = 0.5,
        *,
        middle: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        hidden = hidden_width(c2, shortcut, e)
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = Conv(c1, hidden, 1)
        self.cv3 = Conv(2 * hidden, c2, 1)
        self.m = middle(hidden) if middle else chain(n, lambda: Bottleneck(hidden, hidden, shortcut, e=1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))


@block(widen_and_repeat)
class C3SPP(C3):
    """`C3` with one `SPP` of pool sizes k in the middle; `n` and `shortcut` have no effect.

    Example:
        >>> C3SPP(16, 32, 1, (5, 9))(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, k: Sequence[int] = (5, 9, 13), shortcut: bool = True, e: float = 0.5
    ) -> None:
        super().__init__(c1, c2, n, shortcut, e, middle=lambda hidden: SPP(hidden, hidden, k))


@block(widen_and_repeat)
class C3TR(C3):
    """`C3` with one `TransformerBlock` of four heads and n layers in the middle; `shortcut` has no effect.

    Example:
        >>> C3TR(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__(c1, c2, n, shortcut, e, middle=lambda hidden: TransformerBlock(hidden, hidden, 4, n))


@block(widen_and_repeat)
class C3Ghost(C3):
    """`C3` with a chain of n `GhostBottleneck`s in the middle, which always add their input.

    Example:
        >>> C3Ghost(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__(
            c1, c2, n, shortcut, e, middle=lambda hidden: chain(n, lambda: GhostBottleneck(hidden, hidden))
        )


@block(widen_and_repeat)
class BottleneckCSP(nn.Module):
    """CSP block of YOLOv5's first releases, with a norm after the concatenation: (N, c1, H, W) → (N, c2, H, W).

    cv4(act(bn(cat(cv3(m(cv1(x))), cv2(x))))), where cv2 and cv3 are convolutions without norm and activation. It takes
    the arguments of `C3`.

    Example:
        >>> BottleneckCSP(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__()
        hidden = hidden_width(c2, shortcut, e)
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.cv3 = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.cv4 = Conv(2 * hidden, c2, 1)
        self.bn = norm(2 * hidden)
        self.act = nn.SiLU()
        self.m = chain(n, lambda: Bottleneck(hidden, hidden, shortcut, e=1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        joined = torch.cat([self.cv3(self.m(self.cv1(x))), self.cv2(x)], dim=1)
        return self.cv4(self.act(self.bn(joined)))


@block(widen_and_repeat)
class C3k(C3):
    """`C3` of YOLO11 whose bottlenecks have two kxk convolutions: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        n: Number of bottlenecks in the chain.
        shortcut: Whether the bottlenecks add their input.
        g: Number of groups; only 1 is supported.
        e: Hidden channels as a fraction of c2.
        k: Kernel size of the bottlenecks in pixels.

    Raises:
        OptionError: If `shortcut` is not a boolean, `g` is not 1, or `e` is not a float.

    Example:
        >>> C3k(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5, k: int = 3
    ) -> None:
        require_one_group(g)
        super().__init__(
            c1,
            c2,
            n,
            shortcut,
            e,
            middle=lambda hidden: chain(n, lambda: Bottleneck(hidden, hidden, shortcut, e=1.0, kernel_sizes=(k, k))),
        )


def hidden_width(c2: int, shortcut: bool, e: float) -> int:
    """Return the number of hidden channels, e · c2.

    Other releases have the number of groups at the position of e: `[512, True, 1, 0.5]`. An argument with another
    meaning is an error.

    Raises:
        OptionError: If `shortcut` is not a boolean, or `e` is not a float.
    """
    if not isinstance(shortcut, bool):
        raise OptionError(f"`shortcut` must be True or False, got {short_repr(shortcut)}")
    if not isinstance(e, float):
        raise OptionError(
            f"`e` must be a fraction such as 0.5 or 1.0, got {short_repr(e)}",
            remedy="groups are not supported at this position",
        )
    return int(c2 * e)


def require_one_group(groups: int) -> None:
    """Check the number of groups of a block.

    Raises:
        OptionError: If it is not 1.
    """
    if type(groups) is not int or groups != 1:
        raise OptionError(f"`g` must be 1, got {short_repr(groups)}", remedy="convolutions in groups are not supported")
