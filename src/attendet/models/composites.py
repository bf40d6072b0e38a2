"""Blocks with CBAM inside, as community model files name them.

Besides the arguments of the block they extend, they take CBAM's options by name.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

from torch import Tensor
from torch.nn import Module

from attendet.attention import CBAM
from attendet.attention.catalog import options_of
from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.csp import C3, Bottleneck, C2f
from attendet.blocks.wiring import BlockRequest, Maker, ModuleSpec, WiringRule, chain, widen, widen_and_repeat
from attendet.errors import OptionError, unknown_name


def attentive(rule: WiringRule) -> WiringRule:
    """Return the rule for blocks with CBAM inside: a mapping as the last argument holds CBAM's options by name."""

    def with_options(make: Maker, request: BlockRequest) -> ModuleSpec:
        last = request.args[-1] if request.args else None
        named = last if isinstance(last, dict) else {}
        args = request.args[: len(request.args) - isinstance(last, dict)]
        for option in named:
            if option not in options_of(CBAM):
                raise unknown_name("option of CBAM", option, options_of(CBAM))
        if "shortcut" in signature(make).parameters and any(not isinstance(flag, bool) for flag in args[1:2]):
            raise OptionError(f"the shortcut is {args[1]}", remedy="give options of CBAM by name: {reduction: 8}")
        options = {"reduction": 16, "kernel_size": 7, "variant": "plain", "start": request.start, **named}
        recipe = rule.recipe(partial(make, **options), replace(request, args=args))
        return replace(recipe, options=options)

    return replace(rule, recipe=with_options)


@block(attentive(widen), "ResBlock_CBAM", "BottleneckCBAM")
class BottleneckCBAM(Bottleneck):
    """`Bottleneck` with CBAM at the end of its branch, before the addition: the paper's place in a residual block.

    Example:
        >>> import torch
        >>> BottleneckCBAM(64, 64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, c1: int, c2: int, shortcut: bool = True, e: float = 0.5, **options: Any) -> None:
        super().__init__(c1, c2, shortcut, e)
        self.attention = CBAM(c2, **options)

    def branch(self, x: Tensor) -> Tensor:
        """Return what is added to the input."""
        return self.attention(super().branch(x))


@block(attentive(widen_and_repeat), "C3CBAM")
class C3CBAM(C3):
    """`C3` with CBAM in every bottleneck.

    Example:
        >>> import torch
        >>> C3CBAM(128, 128, n=2)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, **options: Any) -> None:
        def middle(hidden: int) -> Module:
            return chain(n, lambda: BottleneckCBAM(hidden, hidden, shortcut, e=1.0, **options))

        super().__init__(c1, c2, n, shortcut, e, middle=middle)


@block(attentive(widen_and_repeat), "CBAMC3")
class CBAMC3(C3):
    """`C3` with one CBAM after its last convolution.

    Example:
        >>> import torch
        >>> CBAMC3(64, 64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, **options: Any) -> None:
        super().__init__(c1, c2, n, shortcut, e)
        self.attention = CBAM(c2, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        return self.attention(super().forward(x))


@block(attentive(widen_and_repeat), "C2f_CBAM")
class C2fCBAM(C2f):
    """`C2f` with CBAM in every bottleneck.

    Example:
        >>> import torch
        >>> C2fCBAM(128, 128)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False, e: float = 0.5, **options: Any) -> None:
        def bottleneck(hidden: int) -> Module:
            return BottleneckCBAM(hidden, hidden, shortcut, e=1.0, **options)

        super().__init__(c1, c2, n, shortcut, e, bottleneck=bottleneck)


@block(attentive(widen), "Conv_CBAM")
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
        **options: Any,
    ) -> None:
        super().__init__(c1, c2, k, s, p, g, act)
        self.attention = CBAM(c2, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H/s, W/s)."""
        return self.attention(super().forward(x))
