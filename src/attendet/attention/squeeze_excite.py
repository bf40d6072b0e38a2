"""SE: squeeze-and-excitation, one weight per channel (Hu et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, hidden_width, zero_
from attendet.attention.catalog import attentions
from attendet.attention.dims import Dims, check_dims, check_features, zero_padding
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.ops.pooling import pool_positions

# Two layers in a list, as many write them, then the names of timm and torchvision, who have 1x1 convolutions.
FOREIGN_KEYS: Mapping[str, str] = {
    "fc.0.": "gate.fc1.",
    "fc.2.": "gate.fc2.",
    "fc1.": "gate.fc1.",
    "fc2.": "gate.fc2.",
}


class SqueezeGate(Gate):
    """σ(W2 ReLU(W1 z)) with z the mean over positions: (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, channels: int, reduction: float, bias: bool, start: Start, dims: Dims = 2) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        hidden = hidden_width(channels, reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)
        if start == "identity":
            zero_(self.fc2.weight, self.fc2.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (N, C, 1, 1)."""
        check_features(x, self.dims, mask)
        logits = self.fc2(torch.relu(self.fc1(pool_positions(x, "avg", mask))))
        return logits.reshape(*logits.shape, *[1] * self.dims)


@attentions.register(
    "se", "SELayer", "SEBlock", "SEModule", "SEAttention", "SENet", "SqueezeExcite", "SqueezeExcitation"
)
class SqueezeExcite(Attention):
    """Squeeze-and-Excitation: every channel times a weight computed from the means of all.

    | equation | | shape |
    |---|---|---|
    | 2, squeeze | z = mean of x over positions | (N, C) |
    | 3, excitation | s = σ(W2 ReLU(W1 z)), W1 of C/r × C, W2 of C × C/r | (N, C) |
    | 4, scale | y = s · x | (N, C, H, W) |

    Parameters, with h = C/reduction rounded down: 2·C·h, and h + C more with biases. The paper counts 2·C²/r, without
    biases, and its journal version says that leaving them out helps.

    In the wild: timm and torchvision have biases, and timm rounds h to a multiple of 8; MobileNetV3 replaces the
    sigmoid by a piecewise linear one, and copies of its module are called SE too.

    State dicts of timm's and torchvision's modules load with `bias=True`, and those of the common
    `fc.0.weight`, `fc.2.weight` without.

    Args:
        channels: C, the channels of the features.
        reduction: r, by how much the hidden layer is narrower than C.
        bias: Whether the two layers have biases.
        start: `paper` starts as published, with gates of about a half. `identity` is ours: gates are exactly 1 at
            the first step, and range over (0, 2) from there.
        dims: Axes of positions: 1 for sequences (N, C, L), 2 for images, 3 for volumes (N, C, D, H, W).

    Raises:
        OptionError: If an option has no such value, or no hidden channel would be left.

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
        self.gate = SqueezeGate(channels, reduction, bias, start, dims)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features times the weights of their channels.

        Args:
            x: Features (N, C, H, W), or as `dims` says.
            mask: (N, H, W), or as `dims` says: True where a position is real, False where it is padding; None if
                all are real. Padded positions never change the weights, and come out as zero.
        """
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)
