"""scSE: channel and spatial squeeze-and-excitation at once (Roy et al., MICCAI 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_start, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.squeeze_excite import SqueezeGate
from attendet.errors import unknown_name

Combine = Literal["add", "max"]
COMBINATIONS: tuple[Combine, ...] = ("add", "max")

FOREIGN_KEYS: Mapping[str, str] = {
    "cSE.fc1.": "channel.fc1.",
    "cSE.fc2.": "channel.fc2.",
    "sSE.conv.": "spatial.conv.",
}


class PositionGate(Gate):
    """σ(a 1x1 convolution to one plane): (N, C, H, W) → (N, 1, H, W)."""

    def __init__(self, channels: int, bias: bool, start: Start) -> None:
        super().__init__(start)
        self.conv = nn.Conv2d(channels, 1, 1, bias=bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return (N, 1, H, W)."""
        return self.conv(x)


@attentions.register("scse", "SCSEModule", "SCSEBlock", "SCSEAttention", "ChannelSpatialSELayer")
class SCSE(Attention):
    """Concurrent spatial and channel squeeze & excitation: x weighed by channel and, beside it, by position.

    | equation | | shape |
    |---|---|---|
    | cSE | z = mean of x over positions; U_c = σ(W1 ReLU(W2 z)) · x, the hidden layer of C/r | (N, C, H, W) |
    | sSE | U_s = σ(W_sq * x) · x, W_sq a 1x1 convolution to one plane | (N, C, H, W) |
    | scSE | y = U_c + U_s | (N, C, H, W) |

    Parameters, with h = C/reduction rounded down: 2·C·h + C, and h + C + 1 more with biases; C² + C as the paper
    counts at r = 2.

    `combine` says how the two are joined: `add` as in the paper, or `max`, the greater of U_c and U_s value by value,
    one of the ways that the journal version (arXiv:1808.08127) compares.

    In the wild: the authors' later code takes the maximum and has biases, as does most of what is copied from it;
    segmentation libraries use r = 16.

    State dicts with the keys of the authors' code load with `bias=True`.

    Args:
        channels: C, the channels of the features.
        reduction: r of the channel part. The paper finds 2 best.
        bias: Whether layers have biases.
        combine: As above.
        start: `paper` starts as published. `identity` is ours: at the first step the output is the input. For `add`
            both weights are then 1/2, and range over (0, 1) as published; for `max` both are 1, and range over
            (0, 2).

    Raises:
        OptionError: If an option has no such value, or no hidden channel would be left.

    Example:
        >>> attention = SCSE(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * attention.channel(x) + x * attention.spatial(x))
        True
        >>> sum(parameter.numel() for parameter in attention.parameters())
        4160
    """

    paper = (
        "Roy, Navab, Wachinger: Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks. "
        "MICCAI 2018, arXiv:1803.02579"
    )

    def __init__(
        self,
        channels: int,
        reduction: float = 2,
        bias: bool = False,
        combine: Combine = "add",
        start: Start = "paper",
    ) -> None:
        super().__init__()
        if combine not in COMBINATIONS:
            raise unknown_name("combination", combine, COMBINATIONS)
        self.combine: Combine = combine
        # Of two halves the sum is one already, with the published range.
        of_gates: Start = "paper" if combine == "add" else start
        check_start(start)
        self.channel = SqueezeGate(channels, reduction, bias, of_gates)
        self.spatial = PositionGate(channels, bias, of_gates)
        if start == "identity":
            last = (self.channel.fc2, self.spatial.conv)
            zero_(*(tensor for layer in last for tensor in (layer.weight, layer.bias)))
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) weighed by channel and by position, joined."""
        by_channel, by_position = x * self.channel(x), x * self.spatial(x)
        return by_channel + by_position if self.combine == "add" else torch.maximum(by_channel, by_position)

    def extra_repr(self) -> str:
        """Say how the two are joined."""
        return f"combine={self.combine}"
