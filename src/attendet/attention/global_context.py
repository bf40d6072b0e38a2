"""GC: one context for all positions, added to each (Cao et al., GCNet, ICCV workshops 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import Addend, Attention, Shares, Start, check_start, hidden_width, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys

FOREIGN_KEYS: Mapping[str, str] = {
    "conv_mask.": "context.positions.conv.",
    "channel_add_conv.0.": "context.fc1.",
    "channel_add_conv.1.": "context.norm.",
    "channel_add_conv.3.": "context.fc2.",
}


class PositionShares(Shares):
    """α_j = exp(W_k x_j) / Σ_m exp(W_k x_m), the share of every position: (N, C, H, W) → (N, 1, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shares of sum one over all positions."""
        logits = self.conv(x)
        return torch.softmax(logits.flatten(1), 1).reshape(logits.shape)


class Context(Addend):
    """W_v2 ReLU(LN(W_v1 Σ_j α_j x_j)): (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.positions = PositionShares(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, channels)
        zero_(self.fc2.weight, self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return what every position of a channel is increased by, in the dtype of x."""
        shares = self.positions(x).to(x.dtype)
        pooled = (x.flatten(2) @ shares.reshape(x.shape[0], -1, 1)).squeeze(2)
        added = self.fc2(torch.relu(self.norm(self.fc1(pooled))))
        return added[:, :, None, None].to(x.dtype)


@attentions.register(
    "gc", "GlobalContext", "GCBlock", "GCModule", "GCNet", "GCAttention", "ContextBlock", "GlobalContextBlock"
)
class GlobalContext(Attention):
    """Global Context block: x plus a term that is the same at all positions, computed from a weighted mean of them.

    z_i = x_i + W_v2 ReLU(LN(W_v1 Σ_j α_j x_j)), section 3.4 of the paper, in which

    | step | | shape |
    |---|---|---|
    | context modeling | α = softmax of W_k x over all positions; c = Σ_j α_j x_j | (N, 1, H, W), (N, C) |
    | transform | t = W_v2 ReLU(LN(W_v1 c)), through C/r channels | (N, C) |
    | fusion | z = x + t | (N, C, H, W) |

    It has no gate: what it computes is added. `context` is the module of the added term, and `context.positions` that
    of the shares α, which show where it looks.

    Parameters, with h = C/reduction rounded down: (C + 1) + (C·h + h) + 2·h + (h·C + C), biases as in the authors'
    code.

    In the wild: timm's module of this name multiplies by σ(t) unless told otherwise, which the paper compares and
    finds worse, and is seldom started at zero.

    State dicts with the keys of the authors' code load.

    Args:
        channels: C, the channels of the features.
        reduction: r, by how much the transform is narrower than C.
        start: `paper` or `identity`, which are one here: the authors start with a last layer of zeros, so that
            nothing is added at the first step.

    Raises:
        OptionError: If an option has no such value, or no hidden channel would be left.

    Example:
        >>> attention = GlobalContext(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x)
        True
        >>> attention.context.positions(x).sum((1, 2, 3)).round(decimals=4)
        tensor([1., 1.], grad_fn=<RoundBackward1>)
        >>> sum(parameter.numel() for parameter in attention.parameters())
        653
    """

    paper = (
        "Cao, Xu, Lin, Wei, Hu: GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond. "
        "ICCV workshops 2019, arXiv:1904.11492"
    )

    def __init__(self, channels: int, reduction: float = 16, start: Start = "paper") -> None:
        super().__init__()
        check_start(start)
        self.context = Context(channels, hidden_width(channels, reduction))
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) plus their context."""
        return x + self.context(x)
