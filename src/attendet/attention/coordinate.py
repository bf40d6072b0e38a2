"""Coordinate attention: weights by row and by column (Hou et al., CVPR 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from attendet.attention.base import Attention, Gate, Start, Weights, wide_hidden_width, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys

FOREIGN_KEYS: Mapping[str, str] = {
    "conv1.": "gate.encode.",
    "bn1.": "gate.norm.",
    "conv_h.": "gate.height.conv.",
    "conv_w.": "gate.width.conv.",
    # An older form of the authors' code.
    "conv2.": "gate.height.conv.",
    "conv3.": "gate.width.conv.",
}


class AxisGate(Gate):
    """σ(a 1x1 convolution of the encoding of one axis): (N, m, H, 1) → (N, C, H, 1), or the same along W."""

    def __init__(self, hidden: int, channels: int, start: Start) -> None:
        super().__init__(start)
        self.conv = nn.Conv2d(hidden, channels, 1)
        if start == "identity":
            zero_(self.conv.weight, self.conv.bias)

    def logits(self, encoding: Tensor) -> Tensor:
        """Return the logits of every channel along the axis."""
        return self.conv(encoding)


class CoordinateWeights(Weights):
    """g^h · g^w: (N, C, H, W) → the same shape; the two gates are `height` and `width`."""

    def __init__(self, channels: int, hidden: int, start: Start) -> None:
        super().__init__()
        self.encode = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.height = AxisGate(hidden, channels, start)
        self.width = AxisGate(hidden, channels, start)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W), in the dtype of x."""
        rows = x.mean(3, keepdim=True)
        columns = x.mean(2, keepdim=True).transpose(2, 3)
        encoding = functional.hardswish(self.norm(self.encode(torch.cat([rows, columns], dim=2))))
        of_rows, of_columns = encoding.split([x.shape[2], x.shape[3]], dim=2)
        return (self.height(of_rows) * self.width(of_columns.transpose(2, 3))).to(x.dtype)


@attentions.register("coordinate", "CoordAtt", "CoordAttn", "CoordAttention", "CoordinateAttention", "CA", "CABlock")
class CoordinateAttention(Attention):
    """Coordinate Attention: every value times the weight of its row and the weight of its column, by channel.

    | equation | | shape |
    |---|---|---|
    | 4 | z^h = mean of x over columns | (N, C, H) |
    | 5 | z^w = mean of x over rows | (N, C, W) |
    | 6 | f = δ(F1([z^h, z^w])), F1 a 1x1 convolution and batch norm, δ the hard swish | (N, m, H + W) |
    | 7, 8 | g^h = σ(F_h(f^h)), g^w = σ(F_w(f^w)), 1x1 convolutions of the two parts of f | (N, C, H), (N, C, W) |
    | 9 | y(i, j) = x(i, j) · g^h(i) · g^w(j) | (N, C, H, W) |

    Parameters, with m = max(C/reduction, least): (C·m + m) + 2·m + 2·(m·C + C). The paper leaves open δ, the batch
    norm's place, the biases and the least width; they are those of the authors' code.

    In the wild: ReLU in place of the hard swish; the two means in the other order, which is the same function of
    the same weights; transposing a part of f and not turning it back, which runs on square maps only.

    State dicts with the keys of the authors' code load.

    Args:
        channels: C, the channels of the features.
        reduction: r, by how much the encoding is narrower than C.
        least: The least width of the encoding.
        start: `paper` starts as published: fresh gates multiply the features by about a quarter. `identity` is ours:
            both gates are exactly 1 at the first step, and range over (0, 2) from there.

    Raises:
        OptionError: If an option has no such value.

    Example:
        >>> attention = CoordinateAttention(64)
        >>> x = torch.rand(2, 64, 20, 12)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
        >>> sum(parameter.numel() for parameter in attention.parameters())
        1688
    """

    paper = "Hou, Zhou, Feng: Coordinate Attention for Efficient Mobile Network Design. CVPR 2021, arXiv:2103.02907"

    def __init__(self, channels: int, reduction: float = 32, least: int = 8, start: Start = "paper") -> None:
        super().__init__()
        self.gate = CoordinateWeights(channels, wide_hidden_width(channels, reduction, least), start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) times the weights of their rows and columns."""
        return x * self.gate(x)
