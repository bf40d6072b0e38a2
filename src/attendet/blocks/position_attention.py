"""Self-attention over positions, as in YOLO11: every position reads the features of all others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.wiring import chain, widen_and_repeat
from attendet.errors import OptionError
from attendet.utils.text import plural

_HEAD_CHANNELS = 64


class PositionAttention(nn.Module):
    """Scaled dot-product attention over the positions of a map: (N, C, H, W) → (N, C, H, W).

    softmax(qᵀk / √d) of "Attention Is All You Need" (arXiv:1706.03762, equation 1), with H·W positions as tokens, keys
    of half the width of the values, and a depthwise convolution of the values in place of position encodings.

    Args:
        channels: Number of channels C; there is one head for every 64 of them, and at least one.

    Raises:
        OptionError: If the heads cannot have equally many channels, or a head has fewer than 2.

    Example:
        >>> PositionAttention(128)(torch.rand(1, 128, 4, 6)).shape
        torch.Size([1, 128, 4, 6])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_heads = _count_heads(channels, "`channels`", f"{channels}")
        self.value_width = channels // self.num_heads
        self.key_width = self.value_width // 2
        width = self.num_heads * (2 * self.key_width + self.value_width)
        self.qkv = Conv(channels, width, act=False)
        self.proj = Conv(channels, channels, act=False)
        self.pe = Conv(channels, channels, 3, g=channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W)."""
        height, width = x.shape[2:]
        by_head = self.qkv(x).flatten(2).unflatten(1, (self.num_heads, -1))
        query, key, value = by_head.split([self.key_width, self.key_width, self.value_width], dim=2)
        weights = (query.transpose(2, 3) @ key * self.key_width**-0.5).softmax(dim=-1)
        mixed = (value @ weights.transpose(2, 3)).flatten(1, 2).unflatten(2, (height, width))
        return self.proj(mixed + self.pe(value.flatten(1, 2).unflatten(2, (height, width))))


class PositionAttentionBlock(nn.Module):
    """`PositionAttention`, then two 1x1 convolutions, both with a residual sum: (N, C, H, W) → (N, C, H, W).

    Args:
        channels: Number of channels C.

    Example:
        >>> PositionAttentionBlock(128)(torch.rand(1, 128, 4, 6)).shape
        torch.Size([1, 128, 4, 6])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn = PositionAttention(channels)
        self.ffn = nn.Sequential(Conv(channels, 2 * channels), Conv(2 * channels, channels, act=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W)."""
        x = x + self.attn(x)
        return x + self.ffn(x)


@block(widen_and_repeat)
class C2PSA(nn.Module):
    """CSP block of YOLO11 whose second half passes n `PositionAttentionBlock`s: (N, C, H, W) → (N, C, H, W).

    Args:
        c1: Number of input channels C.
        c2: Number of output channels, equal to c1.
        n: Number of blocks.
        e: Hidden channels as a fraction of C.

    Raises:
        OptionError: If `c1` and `c2` differ, `e` is not a float, or the heads cannot share the hidden channels.

    Example:
        >>> C2PSA(128, 128)(torch.rand(1, 128, 4, 6)).shape
        torch.Size([1, 128, 4, 6])
    """

    def __init__(self, c1: int, c2: int, n: int = 1, e: float = 0.5) -> None:
        super().__init__()
        if c1 != c2:
            raise OptionError(f"the output width must be that of the input, {c1} after scaling, got {c2}")
        if not isinstance(e, float):
            raise OptionError(f"`e` must be a fraction such as 0.5, got {e!r}")
        hidden = int(c1 * e)
        _count_heads(hidden, "`c2` · `e`", f"{c2} · {e:g} = {c2 * e:g}")
        self.cv1 = Conv(c1, 2 * hidden)
        self.cv2 = Conv(2 * hidden, c1)
        self.m = chain(n, lambda: PositionAttentionBlock(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W)."""
        passed, attended = self.cv1(x).chunk(2, dim=1)
        return self.cv2(torch.cat([passed, self.m(attended)], dim=1))


def _count_heads(channels: int, name: str, given: str) -> int:
    """Return the number of heads, after checking that each gets equally many channels, and at least 2."""
    heads = max(channels // _HEAD_CHANNELS, 1)
    if channels % heads or channels // heads < 2:
        raise OptionError(
            f"{name} must be at least 2 and divide by its {plural(heads, 'head')}, got {given}",
            remedy=f"choose a multiple of {_HEAD_CHANNELS}",
        )
    return heads
