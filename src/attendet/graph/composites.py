"""Blocks with CBAM inside, as community model files name them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor
from torch.nn import Module

from attendet.attention import CBAM
from attendet.attention.base import Start
from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.csp import C3, Bottleneck, C2f, chain
from attendet.blocks.wiring import Maker, Recipe, Request, Rule, widen, widen_and_repeat


def started(rule: Rule) -> Rule:
    """Return the rule for blocks that also want to be told how their attention starts."""

    def with_start(make: Maker, request: Request) -> Recipe:
        recipe = rule.recipe(partial(make, start=request.start), request)
        return replace(recipe, options={"start": request.start})

    return replace(rule, recipe=with_start)


@block(started(widen), "ResBlock_CBAM", "BottleneckCBAM")
class BottleneckCBAM(Bottleneck):
    """`Bottleneck` with CBAM at the end of its branch, before the addition: the paper's place in a residual block.

    Example:
        >>> import torch
        >>> BottleneckCBAM(64, 64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, c1: int, c2: int, shortcut: bool = True, e: float = 0.5, *, start: Start = "paper") -> None:
        super().__init__(c1, c2, shortcut, e)
        self.attention = CBAM(c2, start=start)

    def branch(self, x: Tensor) -> Tensor:
        """Return what is added to the input."""
        return self.attention(super().branch(x))


@block(started(widen_and_repeat), "C3CBAM")
class C3CBAM(C3):
    """`C3` with CBAM in every bottleneck.

    Example:
        >>> import torch
        >>> C3CBAM(128, 128, n=2)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, *, start: Start = "paper"
    ) -> None:
        def middle(hidden: int) -> Module:
            return chain(n, lambda: BottleneckCBAM(hidden, hidden, shortcut, e=1.0, start=start))

        super().__init__(c1, c2, n, shortcut, e, middle=middle)


@block(started(widen_and_repeat), "CBAMC3")
class CBAMC3(C3):
    """`C3` with one CBAM after its last convolution.

    Example:
        >>> import torch
        >>> CBAMC3(64, 64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, *, start: Start = "paper"
    ) -> None:
        super().__init__(c1, c2, n, shortcut, e)
        self.attention = CBAM(c2, start=start)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        return self.attention(super().forward(x))


@block(started(widen_and_repeat), "C2f_CBAM")
class C2fCBAM(C2f):
    """`C2f` with CBAM in every bottleneck.

    Example:
        >>> import torch
        >>> C2fCBAM(128, 128)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, shortcut: bool = False, e: float = 0.5, *, start: Start = "paper"
    ) -> None:
        def bottleneck(hidden: int) -> Module:
            return BottleneckCBAM(hidden, hidden, shortcut, e=1.0, start=start)

        super().__init__(c1, c2, n, shortcut, e, bottleneck=bottleneck)


@block(started(widen), "Conv_CBAM")
class ConvCBAM(Conv):
    """`Conv`, then CBAM.

    Example:
        >>> import torch
        >>> ConvCBAM(64, 128, 3, 2)(torch.rand(1, 64, 8, 8)).shape
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
        start: Start = "paper",
    ) -> None:
        super().__init__(c1, c2, k, s, p, g, act)
        self.attention = CBAM(c2, start=start)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H/s, W/s)."""
        return self.attention(super().forward(x))
