"""NAM: the scales of a batch norm as the importance of channels (Liu et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, add_strength, check_channels
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.errors import unknown_name

Variant = Literal["absolute", "paper"]
VARIANTS: tuple[Variant, ...] = ("absolute", "paper")

FOREIGN_KEYS: Mapping[str, str] = {"Channel_Att.bn2.": "gate.norm."}


class ScaleGate(Gate):
    """σ(w · BN(x)), w the share of a channel in the scales of the norm: (N, C, H, W) → the same shape."""

    strength: Tensor

    def __init__(self, channels: int, variant: Variant, start: Start) -> None:
        super().__init__(start)
        check_channels(channels)
        if variant not in VARIANTS:
            raise unknown_name("variant of NAM", variant, VARIANTS)
        self.variant = variant
        self.norm = nn.BatchNorm2d(channels)
        add_strength(self, start)

    def logits(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        scales = self.norm.weight if self.variant == "paper" else self.norm.weight.abs()
        total = scales.sum()
        if self.variant == "absolute":
            # Scales that are all zero have no shares: none is better than NaN.
            total = total.clamp(min=torch.finfo(total.dtype).tiny)
        return self.strength * (scales / total)[:, None, None] * self.norm(x)

    def extra_repr(self) -> str:
        """Say how the scales are normalized."""
        return f"variant={self.variant}"


@attentions.register("nam", "NAMAttention", "NAMModule", "NAMBlock")
class NAM(Attention):
    """Normalization-based Attention Module, the channel part: every value times σ(w · BN(x)).

    | equation | | shape |
    |---|---|---|
    | 1 | BN(x) = γ·(x - μ)/√(σ² + ε) + β | (N, C, H, W) |
    | 2 | Mc = σ(W_γ · BN(x)), w_i = γ_i / Σ γ_j | (N, C, H, W) |
    | | y = Mc · x | (N, C, H, W) |

    `absolute`, the default, takes absolute values, w_i = abs(γ_i) / Σ abs(γ_j): in the sum of the equation as written
    (`paper`) scales of both signs cancel, and where they do so wholly there is no weight. As long as all γ are
    positive, which is how they start, the two are one.

    The authors' code takes absolute values from `.data`, which keeps the shares out of the gradient; one version has
    a ReLU before the sigmoid and runs the pixel part too. Here shares are in the gradient, as the equation has them.

    The paper's pixel part has a scale for every pixel and so one size of map; this is the channel part alone. The
    paper also adds a penalty on the scales to the loss, which is the training's business.

    Parameters: 2·C.

    Fresh shares are 1/C each, so that logits, and what the gate can tell, shrink as channels grow: fresh gates are all
    near a half.

    State dicts with the keys of the authors' code load. Where they also hold the pixel part's norm, they load with
    `strict=False`.

    Args:
        channels: C, the channels of the features.
        variant: `absolute` or `paper`, as above.
        start: `paper` starts as published. `identity` is ours: the logits are multiplied by a learned number that
            starts at 0, which is one parameter more; all gates are then exactly 1 at the first step, and range over
            (0, 2).

    Raises:
        OptionError: If an option has no such value.

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
        """Return the features (N, C, H, W) times their weights."""
        return x * self.gate(x)
