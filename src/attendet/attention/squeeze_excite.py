"""Squeeze-and-excitation (SE): one weight per channel (Hu et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, hidden_width, zero_
from attendet.attention.catalog import attentions
from attendet.attention.dims import Dims, check_dims, check_features, zero_padding
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.ops.pooling import pool_positions

# `fc.0` and `fc.2` are common in copies; timm and torchvision use `fc1` and `fc2`, as 1x1 convolutions.
FOREIGN_KEYS: Mapping[str, str] = {
    "fc.0.": "gate.fc1.",
    "fc.2.": "gate.fc2.",
    "fc1.": "gate.fc1.",
    "fc2.": "gate.fc2.",
}


class SqueezeGate(Gate):
    """Gate σ(W2 ReLU(W1 z)), where z is the mean over positions: (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, channels: int, reduction: float, bias: bool, start: Start, dims: Dims = 2) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        hidden = hidden_width(channels, reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)
        if start == "identity":
            zero_(self.fc2.weight, self.fc2.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (N, C, 1, 1)."""
        check_features(x, self.dims, mask)
        logits = self.fc2(torch.relu(self.fc1(pool_positions(x, "avg", mask))))
        return logits.reshape(*logits.shape, *[1] * self.dims)


# `CALayer` is unknown on purpose: it is an SE in super-resolution networks, and coordinate attention elsewhere.
@attentions.register(
    "se",
    "SELayer",
    "SEBlock",
    "SEModule",
    "SEAttention",
    "SENet",
    "ChannelSELayer",
    "SqueezeExcite",
    "SqueezeExcitation",
)
class SqueezeExcite(Attention):
    """Squeeze-and-Excitation: multiply every channel by a weight computed from the means of all channels.

    | equation | | shape |
    |---|---|---|
    | 2, squeeze | z = mean of x over positions | (N, C) |
    | 3, excitation | s = σ(W2 ReLU(W1 z)), W1 of C/r × C, W2 of C × C/r | (N, C) |
    | 4, scale | y = s · x | (N, C, H, W) |

    Parameters: 2·C·h with h = C/reduction rounded down, plus h + C with biases. The paper counts 2·C²/r, without
    biases, and its journal version reports that removing them helps.

    Other versions: timm and torchvision use biases, and timm rounds h to a multiple of 8. MobileNetV3 replaces the
    sigmoid with a piecewise linear function; copies of that module are also called SE.

    The state dicts of timm and torchvision load with `bias=True`. State dicts with the common keys `fc.0.weight` and
    `fc.2.weight` load without biases.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels.
        bias: Whether the two layers have biases.
        start: `paper` for the published initialization, whose gates are about 0.5. `identity` (our addition) for gates
            that are exactly 1 at the first step and have the range (0, 2).
        dims: Number of position axes: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for volumes
            (N, C, D, H, W).

    Raises:
        OptionError: If an option has an invalid value, or `reduction` leaves no hidden channel.

    Example:
        >>> attention = SqueezeExcite(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
        >>> sum(parameter.numel() for parameter in attention.parameters())
        512
    """

    paper = "Hu, Shen, Sun: Squeeze-and-Excitation Networks. CVPR 2018, arXiv:1709.01507"

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        bias: bool = False,
        start: Start = "paper",
        *,
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        self.gate = SqueezeGate(check_channels(channels), reduction, bias, start, dims)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features multiplied by the weights of their channels.

        Args:
            x: Features (N, C, H, W), or the shape for `dims`.
            mask: Bool mask (N, H, W), or the shape for `dims`: True at real positions, False at padding; None if all
                positions are real. Padding does not change the weights, and the output is zero there.
        """
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)
