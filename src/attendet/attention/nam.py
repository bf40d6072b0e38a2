"""Normalization-based Attention Module (NAM): weights from the scales of a batch norm (Liu et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, register_strength
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import normalize
from attendet.errors import unknown_name

Variant = Literal["absolute", "paper"]
_VARIANTS: tuple[Variant, ...] = ("absolute", "paper")

FOREIGN_KEYS: Mapping[str, str] = {"Channel_Att.bn2.": "gate.norm."}


class ScaleGate(Gate):
    """Gate σ(w · BN(x)), where w is the scale of a channel divided by the sum of all scales: (N, C, H, W) → same."""

    strength: Tensor

    def __init__(self, channels: int, variant: Variant, start: Start) -> None:
        super().__init__(start)
        channels = check_channels(channels)
        if variant not in _VARIANTS:
            raise unknown_name("variant of NAM", variant, _VARIANTS)
        self.variant = variant
        self.norm = nn.BatchNorm2d(channels)
        register_strength(self, start)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C, H, W)."""
        scales = self.norm.weight if self.variant == "paper" else self.norm.weight.abs()
        total = scales.sum()
        if self.variant == "absolute":
            # If all scales are zero, the quotient is 0 instead of NaN.
            total = total.clamp(min=torch.finfo(total.dtype).tiny)
        return self.strength * (scales / total)[:, None, None] * normalize(self.norm, x)

    def extra_repr(self) -> str:
        """Return the variant, which determines how the scales are normalized."""
        return f"variant={self.variant}"


@attentions.register("nam", "NAMAttention", "NAMModule", "NAMBlock")
class NAM(Attention):
    """Normalization-based Attention Module, channel part: multiply every value by σ(w · BN(x)).

    | equation | | shape |
    |---|---|---|
    | 1 | BN(x) = γ·(x - μ)/√(σ² + ε) + β | (N, C, H, W) |
    | 2 | Mc = σ(W_γ · BN(x)), w_i = γ_i / Σ γ_j | (N, C, H, W) |
    | | y = Mc · x | (N, C, H, W) |

    The default variant `absolute` uses absolute values, w_i = abs(γ_i) / Σ abs(γ_j). With the equation as written
    (`paper`), scales of opposite signs cancel in the sum, which may become zero. Both variants are equal as long as all
    γ are positive, as they are initially.

    The authors' code takes absolute values of `.data`, which excludes the weights w from the gradient. One version has
    a ReLU before the sigmoid and also runs the pixel part. Here, the gradient includes w, as in the equation.

    The paper's pixel part has a scale for every pixel and therefore needs a fixed map size; this is the channel part
    only. The paper also adds a penalty on the scales to the loss, which is not part of this module.

    Parameters: 2·C.

    Initially all w are 1/C. The logits, and the information in the gate, therefore shrink with the number of channels:
    new gates are all close to 0.5.

    State dicts with the keys of the authors' code load. If they contain the norm of the pixel part, they load with
    `strict=False`.

    Args:
        channels: Number of channels C of the features.
        variant: `absolute` or `paper`, see above.
        start: `paper` for the published initialization. `identity` (our addition) multiplies the logits by a learned
            scalar with initial value 0, one additional parameter: all gates are exactly 1 at the first step and have
            the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value.

    Example:
        >>> attention = NAM(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> attention(x).shape
        torch.Size([2, 64, 20, 20])
        >>> sum(parameter.numel() for parameter in attention.parameters())
        128
    """

    paper = "Liu, Shao, Teng, Hoffmann: NAM: Normalization-based Attention Module. 2021, arXiv:2111.12419"

    def __init__(self, channels: int, variant: Variant = "absolute", start: Start = "paper") -> None:
        super().__init__()
        self.gate = ScaleGate(channels, variant, start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by their weights."""
        return x * self.gate(x)
