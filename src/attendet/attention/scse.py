"""Concurrent spatial and channel squeeze-and-excitation (scSE) (Roy et al., MICCAI 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, check_start, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.squeeze_excite import SqueezeGate
from attendet.errors import unknown_name

Combine = Literal["add", "max"]
_COMBINATIONS: tuple[Combine, ...] = ("add", "max")

FOREIGN_KEYS: Mapping[str, str] = {
    "cSE.fc1.": "channel.fc1.",
    "cSE.fc2.": "channel.fc2.",
    "sSE.conv.": "spatial.conv.",
}


class PositionGate(Gate):
    """Gate σ(1x1 convolution to one plane): (N, C, H, W) → (N, 1, H, W)."""

    def __init__(self, channels: int, bias: bool, start: Start) -> None:
        super().__init__(start)
        self.conv = nn.Conv2d(channels, 1, 1, bias=bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, 1, H, W)."""
        return self.conv(x)


@attentions.register("scse", "SCSEModule", "SCSEBlock", "SCSEAttention", "ChannelSpatialSELayer")
class SCSE(Attention):
    """Concurrent spatial and channel squeeze & excitation: combine channel-gated and position-gated features.

    | equation | | shape |
    |---|---|---|
    | cSE | z = mean of x over positions; U_c = σ(W1 ReLU(W2 z)) · x, with C/r hidden channels | (N, C, H, W) |
    | sSE | U_s = σ(W_sq * x) · x, W_sq a 1x1 convolution to one plane | (N, C, H, W) |
    | scSE | y = U_c + U_s | (N, C, H, W) |

    Parameters: 2·C·h + C with h = C/reduction rounded down, plus h + C + 1 with biases. For r = 2 without biases that
    is C² + C, the count in the paper.

    Other versions: the authors' later code takes the maximum and has biases, and so do most of its copies; segmentation
    libraries use r = 16.

    State dicts with the keys of the authors' code load with `bias=True`.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels of the channel part. The paper finds 2 to be the best.
        bias: Whether the layers have biases.
        combine: `add` for the sum U_c + U_s, as in the paper; `max` for the elementwise maximum, one of the
            alternatives that the journal version (arXiv:1808.08127) compares.
        start: `paper` for the published initialization. With `identity` (our addition) the output equals the input at
            the first step: for `add` both weights are 1/2 with the published range (0, 1), for `max` both are 1 with
            the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value, or `reduction` leaves no hidden channel.

    Example:
        >>> attention = SCSE(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * (attention.channel(x) + attention.spatial(x)))
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
        channels = check_channels(channels)
        if combine not in _COMBINATIONS:
            raise unknown_name("combination", combine, _COMBINATIONS)
        self.combine: Combine = combine
        # With the published range, two gates of 1/2 already sum to 1.
        gate_start: Start = "paper" if combine == "add" else start
        check_start(start)
        self.channel = SqueezeGate(channels, reduction, bias, gate_start)
        self.spatial = PositionGate(channels, bias, gate_start)
        self.channel.neutral = self.spatial.neutral = 0.5 if combine == "add" else 1.0
        if start == "identity":
            last_layers = (self.channel.fc2, self.spatial.conv)
            zero_(*(tensor for layer in last_layers for tensor in (layer.weight, layer.bias)))
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the combination of the channel-gated and the position-gated features, (N, C, H, W)."""
        channel, spatial = self.channel(x), self.spatial(x)
        if self.combine == "max":
            return torch.maximum(x * channel, x * spatial)
        # Halves of the smallest numbers are not exact, so that weights of 1/2 have to be added before they multiply.
        return x * (channel + spatial)

    def extra_repr(self) -> str:
        """Return how the two parts are combined."""
        return f"combine={self.combine}"
