"""Transformer layers over the pixels of a map, without layer norms."""

from __future__ import annotations

from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.wiring import widen
from attendet.errors import OptionError
from attendet.utils.text import short_repr

_MAX_LAYERS = 12


class TransformerLayer(nn.Module):
    """Self-attention and two linear layers, both with a residual connection: (H·W, N, C) → the same shape.

    Args:
        channels: Number of channels C, a multiple of `heads`.
        heads: Number of attention heads.

    Example:
        >>> import torch
        >>> TransformerLayer(16, 4)(torch.rand(64, 2, 16)).shape
        torch.Size([64, 2, 16])
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels, bias=False)
        self.k = nn.Linear(channels, channels, bias=False)
        self.v = nn.Linear(channels, channels, bias=False)
        self.ma = nn.MultiheadAttention(channels, heads)
        self.fc1 = nn.Linear(channels, channels, bias=False)
        self.fc2 = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (H·W, N, C)."""
        x = x + self.ma(self.q(x), self.k(x), self.v(x), need_weights=False)[0]
        return x + self.fc2(self.fc1(x))


@block(widen)
class TransformerBlock(nn.Module):
    """Sequence of n transformer layers over the pixels of a map: (N, c1, H, W) → (N, c2, H, W).

    Instead of a position embedding, a linear layer of the pixels is added.

    Args:
        c1: Number of input channels; if it differs from c2, a convolution is applied first.
        c2: Number of output channels, a multiple of `heads`.
        heads: Number of attention heads.
        n: Number of layers, 1 to 12.

    Raises:
        OptionError: If `n` is out of range, or c2 is not a multiple of `heads`.

    Example:
        >>> import torch
        >>> TransformerBlock(16, 32, 4, 2)(torch.rand(2, 16, 8, 8)).shape
        torch.Size([2, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, heads: int = 4, n: int = 1) -> None:
        super().__init__()
        if not 1 <= n <= _MAX_LAYERS:
            raise OptionError(f"`n` must be 1 to {_MAX_LAYERS} transformer layers, got {short_repr(n)}")
        if heads < 1 or c2 % heads:
            raise OptionError(f"`heads` must divide the {c2} channels, got {short_repr(heads)}")
        self.conv = Conv(c1, c2) if c1 != c2 else nn.Identity()
        self.linear = nn.Linear(c2, c2)
        self.tr = nn.Sequential(*(TransformerLayer(c2, heads) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, c2, H, W)."""
        x = self.conv(x)
        pixels = x.flatten(2).permute(2, 0, 1)
        return self.tr(pixels + self.linear(pixels)).permute(1, 2, 0).reshape(x.shape)
