"""Blocks of YOLOv8 and YOLO11 with attention inside or after them: C2f and C3k2, with any attention module."""

from __future__ import annotations

from torch import Tensor, nn

from attendet.blocks.csp import C3
from attendet.blocks.split_csp import C2f, C3k2
from attendet.blocks.wiring import chain
from attendet.errors import OptionError
from attendet.models.composites.attention_blocks import AttentionFactory, Place, attention_layer
from attendet.utils.text import short_repr


class AttentionC2f(C2f):
    """`C2f` with attention in every bottleneck, or in place of every bottleneck.

    It takes the arguments of `C2f`, and `bottleneck`, `place`, and `attention` as `AttentionC3` does.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> AttentionC2f(128, 128, attention=CBAM)(torch.rand(1, 128, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
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
        bottleneck: float = 1.0,
        place: Place = "inside",
        attention: AttentionFactory,
    ) -> None:
        make = attention_layer(place, shortcut, bottleneck, (3, 3), attention)
        super().__init__(c1, c2, n, shortcut, g, e, bottleneck=make)


class AttentionC3k2(C2f):
    """`C3k2` with attention in every bottleneck, also inside its blocks `C3k`, or in place of every bottleneck.

    It takes the arguments of `C3k2`, and `place` and `attention` as `AttentionC3` does.

    Raises:
        OptionError: If `c3k` is not a boolean, or `place` is neither of the two.

    Example:
        >>> import torch
        >>> from attendet.attention import ECA
        >>> block = AttentionC3k2(128, 128, c3k=True, attention=ECA)
        >>> block(torch.rand(1, 128, 8, 8)).shape, sum(isinstance(module, ECA) for module in block.modules())
        (torch.Size([1, 128, 8, 8]), 2)
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
        *,
        place: Place = "inside",
        attention: AttentionFactory,
    ) -> None:
        if not isinstance(c3k, bool):
            raise OptionError(f"`c3k` must be True or False, got {short_repr(c3k)}")
        # The bottlenecks inside a `C3k` are as wide as their block, the others half as wide.
        make = attention_layer(place, shortcut, 1.0 if c3k else 0.5, (3, 3), attention)

        def inner(width: int) -> nn.Module:
            if not c3k:
                return make(width)
            return C3(width, width, 2, shortcut, middle=lambda hidden: chain(2, lambda: make(hidden)))

        super().__init__(c1, c2, n, shortcut, g, e, bottleneck=inner)


class C2fAttention(C2f):
    """`C2f` with one attention module after its last convolution; it takes the arguments of `C2f`, and `attention`.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> C2fAttention(64, 64, attention=CBAM)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
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
        attention: AttentionFactory,
    ) -> None:
        super().__init__(c1, c2, n, shortcut, g, e)
        self.attention = attention(c2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        return self.attention(super().forward(x))


class C3k2Attention(C3k2):
    """`C3k2` with one attention module after its last convolution; it takes the arguments of `C3k2`, and `attention`.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> C3k2Attention(64, 64, attention=CBAM)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
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
        *,
        attention: AttentionFactory,
    ) -> None:
        super().__init__(c1, c2, n, c3k, e, g, shortcut)
        self.attention = attention(c2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        return self.attention(super().forward(x))
