"""SimAM: parameter-free weights from each value's distance to the mean of its channel (Yang et al., ICML 2021)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from attendet.attention.base import Attention, Gate, Start, check_channels, register_strength
from attendet.attention.catalog import attentions
from attendet.attention.dims import Dims, check_dims, check_features, zero_padding
from attendet.errors import unknown_name
from attendet.ops.pooling import pool_positions
from attendet.utils.option_values import positive_number

Variant = Literal["paper", "authors"]
_VARIANTS: tuple[Variant, ...] = ("paper", "authors")


class EnergyGate(Gate):
    """Gate σ(1/E), where E is the minimal energy of every value: (N, C, H, W) → the same shape."""

    strength: Tensor

    def __init__(self, regularizer: float, variant: Variant, start: Start, dims: Dims) -> None:
        super().__init__(start)
        if variant not in _VARIANTS:
            raise unknown_name("variant of SimAM", variant, _VARIANTS)
        self.regularizer = float(positive_number("regularizer", regularizer, remedy="the default is 1e-4"))
        self.variant = variant
        self.dims: Dims = check_dims(dims)
        register_strength(self, start)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return 1/E, (N, C, H, W)."""
        check_features(x, self.dims, mask)
        # Squares of half-precision values overflow easily.
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        ones = [1] * self.dims
        mean = pool_positions(x, "avg", mask)
        squares = zero_padding((x - mean.reshape(*mean.shape, *ones)).square(), mask)
        variance = pool_positions(squares, "avg", mask)
        if self.variant == "authors":
            variance = variance * _bessel_correction(x, mask)
        variance = variance.reshape(*variance.shape, *ones)
        return self.strength * (squares / (4 * (variance + self.regularizer)) + 0.5)

    def extra_repr(self) -> str:
        """Return the regularizer and the variant of the energy."""
        return f"regularizer={self.regularizer:g}, variant={self.variant}"


@attentions.register("simam", "SimAMModule", "SimAMAttention", "SimAMBlock")
class SimAM(Attention):
    """Simple, parameter-free attention: y = x · σ(1/E), where E is low for values far from the mean of their channel.

    | equation | | shape |
    |---|---|---|
    | | μ, σ² = mean and variance of the channel over its M = H·W positions | (N, C) |
    | 5 | e* = 4·(σ² + λ) / ((t - μ)² + 2·σ² + 2·λ) for a value t | (N, C, H, W) |
    | 6 | y = σ(1/E) · x; 1/e* = (t - μ)² / (4·(σ² + λ)) + 1/2 | (N, C, H, W) |

    Parameters: 0, or 1 with the start `identity`.

    Two forms are published. `paper` divides the variance by M, as in equation 5. `authors` divides by n = M - 1, as in
    the paper's pseudo-code and the authors' code. Their code divides by zero for a map of a single position; here n is
    then 1, and the weight is σ(1/2) in both forms, as for a constant channel.

    Because 1/e* is at least 1/2, the weights are between σ(1/2) = 0.62 and 1: constant channels are attenuated, and
    nothing is amplified.

    The default of λ is 1e-4; the authors' ImageNet models use 0.1.

    The state dict of the authors' module is empty. With the published start, this module needs nothing from it. The two
    values of an identity start are reported as missing, because the same state dict could be that of a network without
    attention.

    Other versions: wrappers that require the number of channels and ignore it.

    Args:
        channels: Number of channels C of the features; it has no effect.
        regularizer: λ. Its effect depends on the scale of the features, which are expected after a batch norm.
        variant: `paper` or `authors`, see above.
        start: `paper` for the published module. `identity` (our addition) multiplies 1/E by a learned scalar with
            initial value 0: weights are exactly 1 at the first step and have the range (0, 2).
        dims: Number of position axes: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for volumes
            (N, C, D, H, W).

    Raises:
        OptionError: If an option has an invalid value.

    Example:
        >>> attention = SimAM(64)
        >>> weights = attention.gate(torch.randn(2, 64, 20, 20))
        >>> 0.62 < weights.min() and weights.max() < 1
        tensor(True)
        >>> list(attention.parameters())
        []
    """

    paper = (
        "Yang, Zhang, Li, Xie: SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks. "
        "ICML 2021, PMLR 139:11863-11874"
    )

    def __init__(
        self,
        channels: int,
        regularizer: float = 1e-4,
        variant: Variant = "paper",
        start: Start = "paper",
        *,
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        check_channels(channels)
        self.gate = EnergyGate(regularizer, variant, start, dims)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features multiplied by one weight per value.

        Args:
            x: Features (N, C, H, W), or the shape for `dims`.
            mask: Bool mask (N, H, W), or the shape for `dims`: True at real positions, False at padding; None if all
                positions are real. Padding does not change the weights, and the output is zero there.
        """
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)


def _bessel_correction(x: Tensor, mask: Tensor | None) -> Tensor | float:
    """Return M / (M - 1), or 1 if M is 1; with a mask, per image, where M is its number of real positions."""
    if mask is None:
        count = math.prod(x.shape[2:])
        return count / max(count - 1, 1)
    # Integers would be divided in float32, regardless of the dtype of the features.
    counts = mask.flatten(1).sum(1, keepdim=True).to(x.dtype)
    return counts / (counts - 1).clamp(min=1)
