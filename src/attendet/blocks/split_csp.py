"""CSP blocks that split their features in two and concatenate both halves with the output of every inner block."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.csp import Bottleneck, C3k, hidden_width, require_one_group
from attendet.blocks.wiring import widen_and_repeat
from attendet.errors import OptionError
from attendet.utils.text import short_repr


@block(widen_and_repeat)
class C2f(nn.Module):
    """CSP block that concatenates both halves and the output of every bottleneck: (N, c1, H, W) → (N, c2, H, W).

    It is the block of YOLOv8. The bottlenecks run one after another, and each has two 3x3 convolutions h → h.

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        n: Number of bottlenecks.
        shortcut: Whether the bottlenecks add their input.
        g: Number of groups; only 1 is supported.
        e: Hidden channels h as a fraction of c2.
        bottleneck: Returns a module h → h channels that replaces each bottleneck, given h.

    Raises:
        OptionError: If `shortcut` is not a boolean, `g` is not 1, or `e` is not a float.

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
        g: int = 1,
        e: float = 0.5,
        *,
        bottleneck: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        require_one_group(g)
        hidden = hidden_width(c2, shortcut, e)
        self.cv1 = Conv(c1, 2 * hidden, 1)
        self.cv2 = Conv((2 + n) * hidden, c2, 1)
        make = bottleneck or (lambda width: Bottleneck(width, width, shortcut, e=1.0, kernel_sizes=(3, 3)))
        self.m = nn.ModuleList(make(hidden) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        maps = list(self.cv1(x).chunk(2, dim=1))
        for bottleneck in self.m:
            maps.append(bottleneck(maps[-1]))
        return self.cv2(torch.cat(maps, dim=1))


@block(widen_and_repeat)
class C3k2(C2f):
    """`C2f` of YOLO11, with narrower bottlenecks or with blocks `C3k` in their place: (N, c1, H, W) → (N, c2, H, W).

    Args:
        c1: Number of input channels.
        c2: Number of output channels.
        n: Number of inner blocks.
        c3k: Whether the inner blocks are `C3k` with two bottlenecks each; otherwise they are bottlenecks whose two 3x3
            convolutions have h / 2 channels between them.
        e: Hidden channels h as a fraction of c2.
        g: Number of groups; only 1 is supported.
        shortcut: Whether the bottlenecks add their input.

    Raises:
        OptionError: If `c3k` or `shortcut` is not a boolean, `g` is not 1, or `e` is not a float.

    Example:
        >>> C3k2(16, 32, n=2, c3k=True)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        c3k: bool = False,
        e: float = 0.5,
        g: int = 1,
        shortcut: bool = True,
    ) -> None:
        if not isinstance(c3k, bool):
            raise OptionError(f"`c3k` must be True or False, got {short_repr(c3k)}")

        def inner(width: int) -> nn.Module:
            if c3k:
                return C3k(width, width, 2, shortcut)
            return Bottleneck(width, width, shortcut, e=0.5, kernel_sizes=(3, 3))

        super().__init__(c1, c2, n, shortcut, g, e, bottleneck=inner)
