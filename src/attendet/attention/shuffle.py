"""Shuffle attention (SA): groups that are half channel-gated, half position-gated (Zhang & Yang, 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, group_count, register_with_published_value
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import PlaneNorm

FOREIGN_KEYS: Mapping[str, str] = {
    "cweight": "gate.channel_weight",
    "cbias": "gate.channel_bias",
    "sweight": "gate.spatial_weight",
    "sbias": "gate.spatial_bias",
    "gn.": "gate.norm.",
}


class SplitGate(Gate):
    """Gate σ(W1·mean + b1) for the first half of every group, σ(W2·GN + b2) for the second: (N, C, H, W) → same."""

    def __init__(self, channels: int, groups: int, start: Start) -> None:
        super().__init__(start)
        self.groups = groups
        half = channels // (2 * groups)
        initial_bias = 0.0 if start == "identity" else 1.0
        self.channel_weight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.channel_bias = nn.Parameter(torch.full((1, half, 1, 1), initial_bias))
        self.spatial_weight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.spatial_bias = nn.Parameter(torch.full((1, half, 1, 1), initial_bias))
        self.norm = PlaneNorm(half)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C, H, W)."""
        # The channels of a half and the rows share an axis where they can, because ncnn has four axes at most.
        width = self.channel_weight.shape[1]
        halves = x.reshape(x.shape[0], self.groups, 2, width * x.shape[2], x.shape[3])
        first, second = (half.unflatten(2, (width, -1)) for half in halves.unbind(2))
        channel = self.channel_weight * first.mean((-2, -1), keepdim=True) + self.channel_bias
        spatial = self.spatial_weight * self.norm(second) + self.spatial_bias
        # Zeros of the full shape expand the weights, because ncnn expands to constant sizes only.
        pair = [logits.flatten(2, 3).unsqueeze(2) for logits in (channel + first.clamp(0, 0), spatial)]
        return torch.cat(pair, dim=2).flatten(1, 2).unflatten(2, (width, -1)).flatten(1, 2)

    def extra_repr(self) -> str:
        """Return the number of groups."""
        return f"groups={self.groups}"


@attentions.register("shuffle", "ShuffleAttention", "ShuffleAtt", "SA", "SALayer", "SANet")
class ShuffleAttention(Attention):
    """Shuffle Attention: gate one half of every group by channel, the other by position, then shuffle the channels.

    Each half has c = C/(2·G) channels. All groups share the same weights:

    | equation | | shape |
    |---|---|---|
    | 1 | s = mean of the first half over positions | (N, G, c) |
    | 2 | X'_1 = σ(W1·s + b1) · X_1 | (N, G, c, H, W) |
    | 3 | X'_2 = σ(W2·GN(X_2) + b2) · X_2, GN of one group per channel | (N, G, c, H, W) |
    | | concatenation, then a channel shuffle of two groups: channel i of the first C/2 moves to 2·i, | |
    | | channel C/2 + i moves to 2·i + 1 | (N, C, H, W) |

    The submodule `gate` computes the weights before the shuffle.

    Parameters: 3·C/G, which is 6·c.

    Other versions: G = 8 in popular copies; a group norm of one group over all channels of a half.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features.
        groups: Number of groups G, where 2·G divides C; None for the published 64, or the largest smaller number that
            C allows.
        start: `paper` for the initialization of the authors' code: weights 0 and biases 1, so that all gates are
            σ(1) = 0.73. `identity` (our addition) for gates that are exactly 1 at the first step and have the range
            (0, 2), and channels that always keep their order, because a shuffle is not an identity. The order is part
            of the state dict.

    Raises:
        OptionError: If an option has an invalid value, or 2·G does not divide the channels.

    Example:
        >>> attention = ShuffleAttention(64, groups=8)
        >>> attention(torch.rand(2, 64, 20, 20)).shape
        torch.Size([2, 64, 20, 20])
        >>> sum(parameter.numel() for parameter in attention.parameters())
        24
    """

    paper = (
        "Zhang, Yang: SA-Net: Shuffle Attention for Deep Convolutional Neural Networks. ICASSP 2021, arXiv:2102.00240"
    )
    in_order: Tensor

    def __init__(self, channels: int, groups: int | None = None, start: Start = "paper") -> None:
        super().__init__()
        channels = check_channels(channels)
        self.gate = SplitGate(channels, group_count(channels, groups, max_groups=64, multiple_of=2), start)
        # The hooks run in this order: the second one looks for parameters under our keys.
        accept_foreign_keys(self, FOREIGN_KEYS)
        register_with_published_value(self, "in_order", torch.tensor(start == "identity"), published=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by their weights, with shuffled channels."""
        weighted = x * self.gate(x)
        shuffled = weighted.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            # A trace keeps the order of this moment, because ncnn has no `where`.
            return weighted if self.in_order else shuffled
        return torch.where(self.in_order, weighted, shuffled)
