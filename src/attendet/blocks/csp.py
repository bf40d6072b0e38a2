"""Cross-stage partial blocks: one half through a chain of bottlenecks, the other past it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv, norm
from attendet.blocks.ghost import GhostBottleneck
from attendet.blocks.pool import SPP
from attendet.blocks.transformer import TransformerBlock
from attendet.blocks.wiring import widen, widen_and_repeat


@block(widen)
class Bottleneck(nn.Module):
    """1x1 to the hidden width, 3x3 to c2, plus its input where shapes allow: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        shortcut: Whether the input is added, where c1 equals c2.
        e: Hidden width, as a fraction of c2.

    Example:
        >>> Bottleneck(16, 16)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(self, c1: int, c2: int, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
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

    Example:
        >>> C3(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = Conv(c1, hidden, 1)
        self.cv3 = Conv(2 * hidden, c2, 1)
        self.m = self.chain(hidden, n, shortcut)

    def chain(self, hidden: int, n: int, shortcut: bool) -> nn.Module:
        """Return the middle, h → h channels; blocks that differ only in it override this."""
        return nn.Sequential(*(Bottleneck(hidden, hidden, shortcut, e=1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))


@block(widen_and_repeat)
class C3SPP(C3):
    """`C3` whose middle is one `SPP`.

    Args:
        c1: Incoming channels.
        c2: Outgoing channels.
        k: Sides of the pools in pixels.
        n: Not used: there is one SPP.
        shortcut: Not used: an SPP has none.
        e: Hidden width, as a fraction of c2.

    Example:
        >>> C3SPP(16, 32, 1, (5, 9))(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        k: tuple[int, ...] = (5, 9, 13),
        shortcut: bool = True,
        e: float = 0.5,
    ) -> None:
        super().__init__(c1, c2, n, shortcut, e)
        self.m = SPP(int(c2 * e), int(c2 * e), k)


@block(widen_and_repeat)
class C3TR(C3):
    """`C3` whose middle is one `TransformerBlock` of four heads and n layers.

    Example:
        >>> C3TR(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def chain(self, hidden: int, n: int, shortcut: bool) -> nn.Module:  # noqa: ARG002
        """Return the transformer; it has no shortcut to switch."""
        return TransformerBlock(hidden, hidden, 4, n)


@block(widen_and_repeat)
class C3Ghost(C3):
    """`C3` whose middle is a chain of n `GhostBottleneck`s.

    Example:
        >>> C3Ghost(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def chain(self, hidden: int, n: int, shortcut: bool) -> nn.Module:  # noqa: ARG002
        """Return the ghost bottlenecks; they always add their input."""
        return nn.Sequential(*(GhostBottleneck(hidden, hidden) for _ in range(n)))


@block(widen_and_repeat)
class BottleneckCSP(nn.Module):
    """The CSP block of YOLOv5's first releases, normalised after the join: (N, c1, H, W) → (N, c2, H, W).

    cv4(act(bn(cat(cv3(m(cv1(x))), cv2(x))))), where cv2 and cv3 are bare convolutions. Arguments as in `C3`.

    Example:
        >>> BottleneckCSP(16, 32, n=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = Conv(c1, hidden, 1)
        self.cv2 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.cv3 = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.cv4 = Conv(2 * hidden, c2, 1)
        self.bn = norm(2 * hidden)
        self.act = nn.SiLU()
        self.m = nn.Sequential(*(Bottleneck(hidden, hidden, shortcut, e=1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        joined = torch.cat([self.cv3(self.m(self.cv1(x))), self.cv2(x)], dim=1)
        return self.cv4(self.act(self.bn(joined)))
