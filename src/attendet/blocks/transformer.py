"""Self-attention among the pixels of a map, without norms."""

from __future__ import annotations

from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.wiring import widen
from attendet.errors import OptionError

MAX_LAYERS = 12


class TransformerLayer(nn.Module):
    """Attention and two linear layers, each plus its input: (H·W, N, C) → the same shape.

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
        """Return (H·W, N, C)."""
        x = x + self.ma(self.q(x), self.k(x), self.v(x), need_weights=False)[0]
        return x + self.fc2(self.fc1(x))


@block(widen)
class TransformerBlock(nn.Module):
    """Pixels as a sequence through n layers: (N, c1, H, W) → (N, c2, H, W).

    Positions are told by adding a linear layer of the pixels themselves.

    Args:
        c1: Incoming channels; other than c2 they are convolved to c2 first.
        c2: Outgoing channels, a multiple of heads.
        heads: Attention heads.
        n: Layers, at most 12.

    Raises:
        OptionError: If there are more, or c2 cannot be divided among the heads.

    Example:
        >>> import torch
        >>> TransformerBlock(16, 32, 4, 2)(torch.rand(2, 16, 8, 8)).shape
        torch.Size([2, 32, 8, 8])
    """

    def __init__(self, c1: int, c2: int, heads: int = 4, n: int = 1) -> None:
        super().__init__()
        if not 1 <= n <= MAX_LAYERS:
            raise OptionError(f"{n} transformer layers", remedy=f"give 1 to {MAX_LAYERS}")
        if heads < 1 or c2 % heads:
            raise OptionError(f"{c2} channels cannot be divided among {heads} heads", remedy="give a divisor")
        self.conv = Conv(c1, c2) if c1 != c2 else nn.Identity()
        self.linear = nn.Linear(c2, c2)
        self.tr = nn.Sequential(*(TransformerLayer(c2, heads) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, c2, H, W)."""
        x = self.conv(x)
        pixels = x.flatten(2).permute(2, 0, 1)
        return self.tr(pixels + self.linear(pixels)).permute(1, 2, 0).reshape(x.shape)
