"""Cross-stage partial blocks: one half through a chain of bottlenecks, the other past it."""

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


@block(widen)
class Bottleneck(nn.Module):
    """1x1 to the hidden width, 3x3 to c2, plus its input where shapes allow: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        shortcut: Whether the input is added, where c1 equals c2.
        e: Hidden width, as a fraction of c2.

    Raises:
        OptionError: If shortcut is no boolean or e no fraction, see `hidden_width`.

    Example:
        >>> Bottleneck(16, 16)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(self, c1: int, c2: int, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__()
        hidden = hidden_width(c2, shortcut, e)
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = Conv(hidden, c2, 3)
        self.add = shortcut and c1 == c2

    def branch(self, x: Tensor) -> Tensor:
        """Return what is added to the input."""
        return self.cv2(self.cv1(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        return x + self.branch(x) if self.add else self.branch(x)


@block(widen_and_repeat)
class C3(nn.Module):
    """CSP block with three convolutions: cv3(cat(m(cv1(x)), cv2(x))): (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        n: Bottlenecks in the chain.
        shortcut: Whether they add their input.
        e: Hidden width h, as a fraction of c2.
        middle: Makes another middle m than the chain, given h: a module h → h channels.

    Raises:
        OptionError: If shortcut is no boolean or e no fraction, see `hidden_width`.

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
        """Return (N, c2, H, W)."""
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))


@block(widen_and_repeat)
class C3SPP(C3):
    """`C3` whose middle is one `SPP` with pools of sides k; repeats and shortcut mean nothing to it.

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
    """`C3` whose middle is one `TransformerBlock` of four heads and n layers; it has no shortcut to switch.

    Example:
        >>> C3TR(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__(c1, c2, n, shortcut, e, middle=lambda hidden: TransformerBlock(hidden, hidden, 4, n))


@block(widen_and_repeat)
class C3Ghost(C3):
    """`C3` whose middle is a chain of n `GhostBottleneck`s; they always add their input.

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
    """The CSP block of YOLOv5's first releases, normalized after the join: (N, c1, H, W) → (N, c2, H, W).

    cv4(act(bn(cat(cv3(m(cv1(x))), cv2(x))))), where cv2 and cv3 are bare convolutions. Arguments as in `C3`.

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
        """Return (N, c2, H, W)."""
        joined = torch.cat([self.cv3(self.m(self.cv1(x))), self.cv2(x)], dim=1)
        return self.cv4(self.act(self.bn(joined)))


@block(widen_and_repeat)
class C2f(nn.Module):
    """CSP block that joins both halves and what every bottleneck gives: (N, c1, H, W) → (N, c2, H, W).

    Named by model files that borrow from later detectors. Arguments as in `C3`, without shortcut by default.

    Example:
        >>> C2f(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        shortcut: bool = False,
        e: float = 0.5,
        *,
        bottleneck: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        hidden = hidden_width(c2, shortcut, e)
        self.cv1 = Conv(c1, 2 * hidden, 1)
        self.cv2 = Conv((2 + n) * hidden, c2, 1)
        make = bottleneck or (lambda width: Bottleneck(width, width, shortcut, e=1.0))
        self.m = nn.ModuleList(make(hidden) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        maps = list(self.cv1(x).chunk(2, dim=1))
        for bottleneck in self.m:
            maps.append(bottleneck(maps[-1]))
        return self.cv2(torch.cat(maps, dim=1))


def hidden_width(c2: int, shortcut: bool, e: float) -> int:
    """Return the hidden width, e · c2.

    Other releases have groups where these have the fraction: `[512, True, 1, 0.5]`. What would be read as something
    else is refused.

    Raises:
        OptionError: If the shortcut is no boolean, or the fraction a whole number.
    """
    if not isinstance(shortcut, bool):
        raise OptionError(f"the shortcut is {shortcut!r}", remedy="write True or False")
    if not isinstance(e, float):
        raise OptionError(
            f"the hidden width is {e!r} of the outgoing one", remedy="write a fraction, 0.5 or 1.0; there are no groups"
        )
    return int(c2 * e)
