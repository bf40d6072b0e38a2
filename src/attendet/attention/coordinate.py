"""Coordinate attention: weights per row and per column (Hou et al., CVPR 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from attendet.attention.base import (
    Attention,
    AttentionWeights,
    Gate,
    Start,
    check_channels,
    hidden_width_at_least,
    zero_,
)
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import normalize

FOREIGN_KEYS: Mapping[str, str] = {
    "conv1.": "gate.encode.",
    "bn1.": "gate.norm.",
    "conv_h.": "gate.height.conv.",
    "conv_w.": "gate.width.conv.",
    # Keys of an older version of the authors' code.
    "conv2.": "gate.height.conv.",
    "conv3.": "gate.width.conv.",
}


class AxisGate(Gate):
    """Gate of one axis, σ(1x1 convolution of its encoding): (N, m, H, 1) → (N, C, H, 1), or the same along W."""

    def __init__(self, hidden: int, channels: int, bias: bool, start: Start) -> None:
        super().__init__(start)
        self.conv = nn.Conv2d(hidden, channels, 1, bias=bias)
        if start == "identity":
            zero_(self.conv.weight, self.conv.bias)

    def logits(self, encoding: Tensor) -> Tensor:
        """Return the logits of every channel along the axis."""
        return self.conv(encoding)


class CoordinateWeights(AttentionWeights):
    """Product g^h · g^w of the gates `height` and `width`: (N, C, H, W) → the same shape."""

    def __init__(self, channels: int, hidden: int, bias: bool, start: Start) -> None:
        super().__init__()
        self.encode = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.norm = nn.BatchNorm2d(hidden)
        self.height = AxisGate(hidden, channels, bias, start)
        self.width = AxisGate(hidden, channels, bias, start)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights (N, C, H, W) in the dtype of x."""
        rows = x.mean(3, keepdim=True)
        columns = x.mean(2, keepdim=True).transpose(2, 3)
        encoding = functional.hardswish(normalize(self.norm, self.encode(torch.cat([rows, columns], dim=2))))
        row_encoding, column_encoding = encoding[:, :, : x.shape[2]], encoding[:, :, x.shape[2] :]
        return (self.height(row_encoding) * self.width(column_encoding.transpose(2, 3))).to(x.dtype)


@attentions.register("coordinate", "CoordAtt", "CoordAttn", "CoordAttention", "CoordinateAttention", "CA", "CABlock")
class CoordinateAttention(Attention):
    """Coordinate Attention: multiply every value by the weights of its row and its column, separately per channel.

    | equation | | shape |
    |---|---|---|
    | 4 | z^h = mean of x over columns | (N, C, H) |
    | 5 | z^w = mean of x over rows | (N, C, W) |
    | 6 | f = δ(F1([z^h, z^w])), F1 a 1x1 convolution and batch norm, δ the hard swish | (N, m, H + W) |
    | 7, 8 | g^h = σ(F_h(f^h)), g^w = σ(F_w(f^w)), 1x1 convolutions of the two parts of f | (N, C, H), (N, C, W) |
    | 9 | y(i, j) = x(i, j) · g^h(i) · g^w(j) | (N, C, H, W) |

    Parameters, with m = max(C/reduction, min_width): (C·m + m) + 2·m + 2·(m·C + C), or 3·C·m + 2·m without biases. The
    paper does not specify δ, the position of the batch norm, the biases, and the minimum width; they follow the
    authors' code.

    Other versions: no biases (`bias=False`); ReLU instead of the hard swish; the two means in the other order, which is
    the same function of the same weights; a transposed part of f that is not transposed back, which only runs on square
    maps.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the channels of the encoding.
        min_width: Minimum number of channels of the encoding.
        bias: Whether the three 1x1 convolutions have biases.
        start: `paper` for the published initialization, which multiplies the features by about a quarter. `identity`
            (our addition) for gates that are exactly 1 at the first step and have the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value.

    Example:
        >>> attention = CoordinateAttention(64)
        >>> x = torch.rand(2, 64, 20, 12)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
        >>> sum(parameter.numel() for parameter in attention.parameters())
        1688
    """

    paper = "Hou, Zhou, Feng: Coordinate Attention for Efficient Mobile Network Design. CVPR 2021, arXiv:2103.02907"

    def __init__(
        self,
        channels: int,
        reduction: float = 32,
        min_width: int = 8,
        bias: bool = True,
        start: Start = "paper",
    ) -> None:
        super().__init__()
        channels = check_channels(channels)
        self.gate = CoordinateWeights(channels, hidden_width_at_least(channels, reduction, min_width), bias, start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by the weights of their rows and columns."""
        return x * self.gate(x)
