"""Global Attention Mechanism (GAM): channel, then spatial attention, without pooling (Liu, Shao, Hoffmann, 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, group_count, hidden_width, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import normalize

FOREIGN_KEYS: Mapping[str, str] = {
    "channel_attention.0.": "channel.fc1.",
    "channel_attention.2.": "channel.fc2.",
    "spatial_attention.0.": "spatial.conv1.",
    "spatial_attention.1.": "spatial.norm1.",
    "spatial_attention.3.": "spatial.conv2.",
    "spatial_attention.4.": "spatial.norm2.",
}


class PointwiseGate(Gate):
    """Channel gate Mc(F) = σ(MLP(F)), applied at every position: (N, C, H, W) → the same shape."""

    def __init__(self, channels: int, reduction: float, start: Start) -> None:
        super().__init__(start)
        hidden = hidden_width(channels, reduction)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        if start == "identity":
            zero_(self.fc2.weight, self.fc2.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C, H, W)."""
        return self.fc2(torch.relu(self.fc1(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


class WideGate(Gate):
    """Spatial gate Ms(F) = σ(BN(f(ReLU(BN(f(F)))))) with two 7x7 convolutions: (N, C, H, W) → the same shape.

    With groups, the channels of the logits are shuffled: channel i of group g moves to i·G + g.
    """

    def __init__(self, channels: int, hidden: int, groups: int, start: Start) -> None:
        super().__init__(start)
        self.groups = groups
        self.conv1 = nn.Conv2d(channels, hidden, 7, padding=3, groups=groups)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 7, padding=3, groups=groups)
        self.norm2 = nn.BatchNorm2d(channels)
        if start == "identity":
            zero_(self.norm2.weight, self.norm2.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C, H, W)."""
        hidden = torch.relu(normalize(self.norm1, self.conv1(x)))
        logits = normalize(self.norm2, self.conv2(hidden))
        return logits if self.groups == 1 else logits.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


@attentions.register("gam", "GAMAttention", "GAMModule", "GAMBlock", "GlobalAttentionMechanism")
class GAM(Attention):
    """Global Attention Mechanism: F2 = Mc(F1) ⊗ F1, F3 = Ms(F2) ⊗ F2 (equations 1 and 2), without pooling.

    | equation | | shape |
    |---|---|---|
    | in 1 | Mc(F) = σ(MLP(F)), C → C/r → C with a ReLU in between, at every position | (N, C, H, W) |
    | in 2 | Ms(F) = σ(BN(f(ReLU(BN(f(F)))))), f 7x7 convolutions C → C/r and C/r → C | (N, C, H, W) |

    The paper shows Mc and Ms as figures. Biases, norms, and the ReLU follow the published code.

    Parameters, with h = C/reduction rounded down and G groups: (2·C·h + h + C) + (98·C·h/G + h + C) + (2·h + 2·C). That
    is 6.6 million for C = 512 and one group, as many as whole stages of a small detector have. For such cases the paper
    has a version with grouped convolutions and a channel shuffle. It does not specify the position of the shuffle; with
    `groups`, the output channels of the second convolution are shuffled, as in most copies, which use G = r.

    Other versions: copies without the sigmoid of Mc, whose channel part is not a gate; copies with an argument for
    the output channels, which can change the number of channels.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels in both parts.
        groups: Number of groups G of the 7x7 convolutions, a divisor of C and h; 1 for no groups and no shuffle.
        start: `paper` for the published initialization. `identity` (our addition) for gates that are exactly 1 at the
            first step and have the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value, `reduction` leaves no hidden channel, or `groups` does not
            divide C and h.

    Example:
        >>> attention = GAM(16)
        >>> attention(torch.rand(2, 16, 20, 20)).shape
        torch.Size([2, 16, 20, 20])
        >>> sum(parameter.numel() for parameter in attention.parameters())
        6480
    """

    paper = (
        "Liu, Shao, Hoffmann: Global Attention Mechanism: Retain Information to Enhance Channel-Spatial Interactions. "
        "2021, arXiv:2112.05561"
    )

    def __init__(self, channels: int, reduction: float = 4, groups: int = 1, start: Start = "paper") -> None:
        super().__init__()
        channels = check_channels(channels)
        self.channel = PointwiseGate(channels, reduction, start)
        hidden = self.channel.fc1.out_features
        self.spatial = WideGate(channels, hidden, group_count(math.gcd(channels, hidden), groups, max_groups=1), start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by both gates."""
        after_channel_gate = x * self.channel(x)
        return after_channel_gate * self.spatial(after_channel_gate)
