"""Blocks with CBAM inside, under the names that community model files use.

They take the arguments of the block that they extend, and the options of CBAM by name. Importing this module registers
them, as it does for every block.
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
from attendet.blocks.wiring import BlockRequest, ModuleFactory, ModuleSpec, WiringRule, chain, widen, widen_and_repeat
from attendet.errors import OptionError, unknown_name


def _with_cbam_options(rule: WiringRule) -> WiringRule:
    """Return a wiring rule for rows whose last argument may be a mapping with options of CBAM."""

    def spec(make: ModuleFactory, request: BlockRequest) -> ModuleSpec:
        last = request.args[-1] if request.args else None
        named = last if isinstance(last, dict) else {}
        args = request.args[: len(request.args) - isinstance(last, dict)]
        for option in named:
            if option not in options_of(CBAM):
                raise unknown_name("option of CBAM", option, options_of(CBAM))
        if "shortcut" in signature(make).parameters and any(not isinstance(flag, bool) for flag in args[1:2]):
            raise OptionError(
                f"`shortcut` must be a boolean, got {args[1]}", remedy="write options of CBAM by name: {reduction: 8}"
            )
        options = {"reduction": 16, "kernel_size": 7, "variant": "plain", "start": request.start, **named}
        return replace(rule.specify(partial(make, **options), replace(request, args=args)), options=options)

    return replace(rule, specify=spec)


@block(_with_cbam_options(widen), "ResBlock_CBAM", "BottleneckCBAM")
class BottleneckCBAM(Bottleneck):
    """`Bottleneck` with CBAM at the end of its branch, before the addition, as in the residual blocks of the paper.

    Args:
        c1: Input channels.
        c2: Output channels.
        shortcut: Add the input to the output if both have the same number of channels.
        e: Hidden channels as a fraction of the output channels.
        options: Options of `CBAM`.

    Example:
        >>> import torch
        >>> BottleneckCBAM(64, 64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, c1: int, c2: int, shortcut: bool = True, e: float = 0.5, **options: Any) -> None:
        super().__init__(c1, c2, shortcut, e)
        self.attention = CBAM(c2, **options)

    def branch(self, x: Tensor) -> Tensor:
        """Return the branch (N, c2, H, W) that is added to the input."""
        return self.attention(super().branch(x))


@block(_with_cbam_options(widen_and_repeat), "C3CBAM")
class C3CBAM(C3):
    """`C3` with CBAM in every bottleneck.

    Args:
        c1: Input channels.
        c2: Output channels.
        n: Number of bottlenecks.
        shortcut: Add the input of each bottleneck to its output.
        e: Hidden channels as a fraction of the output channels.
        options: Options of `CBAM`.

    Example:
        >>> import torch
        >>> C3CBAM(128, 128, n=2)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, **options: Any) -> None:
        def middle(hidden: int) -> Module:
            return chain(n, lambda: BottleneckCBAM(hidden, hidden, shortcut, e=1.0, **options))

        super().__init__(c1, c2, n, shortcut, e, middle=middle)


@block(_with_cbam_options(widen_and_repeat), "CBAMC3")
class CBAMC3(C3):
    """`C3` with one CBAM after its last convolution.

    Args:
        c1: Input channels.
        c2: Output channels.
        n: Number of bottlenecks.
        shortcut: Add the input of each bottleneck to its output.
        e: Hidden channels as a fraction of the output channels.
        options: Options of `CBAM`.

    Example:
        >>> import torch
        >>> CBAMC3(64, 64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, e: float = 0.5, **options: Any) -> None:
        super().__init__(c1, c2, n, shortcut, e)
        self.attention = CBAM(c2, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, c2, H, W)."""
        return self.attention(super().forward(x))


@block(_with_cbam_options(widen_and_repeat), "C2f_CBAM")
class C2fCBAM(C2f):
    """`C2f` with CBAM in every bottleneck.

    Args:
        c1: Input channels.
        c2: Output channels.
        n: Number of bottlenecks.
        shortcut: Add the input of each bottleneck to its output.
        e: Hidden channels as a fraction of the output channels.
        options: Options of `CBAM`.

    Example:
        >>> import torch
        >>> C2fCBAM(128, 128)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False, e: float = 0.5, **options: Any) -> None:
        def bottleneck(hidden: int) -> Module:
            return BottleneckCBAM(hidden, hidden, shortcut, e=1.0, **options)

        super().__init__(c1, c2, n, shortcut, e, bottleneck=bottleneck)


@block(_with_cbam_options(widen), "Conv_CBAM")
class ConvCBAM(Conv):
    """`Conv` followed by CBAM.

    Args:
        c1: Input channels.
        c2: Output channels.
        k: Kernel size.
        s: Stride.
        p: Padding (default: half of the kernel size).
        g: Groups of the convolution.
        act: Use SiLU; without it, no activation follows the batch norm.
        options: Options of `CBAM`.

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
        """Return features (N, c2, H/s, W/s)."""
        return self.attention(super().forward(x))
