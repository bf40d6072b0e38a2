"""SimAM: a weight per value from how far it stands out in its channel, without parameters (Yang et al., ICML 2021)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from attendet.attention.base import Attention, Gate, Start, add_strength, check_channels
from attendet.attention.catalog import attentions
from attendet.attention.dims import Dims, check_dims, check_features, zero_padding
from attendet.errors import OptionError, unknown_name
from attendet.ops.pooling import pool_positions

Variant = Literal["paper", "authors"]
VARIANTS: tuple[Variant, ...] = ("paper", "authors")


class EnergyGate(Gate):
    """σ(1/E), E the least energy of every value: (N, C, H, W) → the same shape."""

    strength: Tensor

    def __init__(self, regularizer: float, variant: Variant, start: Start, dims: Dims) -> None:
        super().__init__(start)
        if variant not in VARIANTS:
            raise unknown_name("variant of SimAM", variant, VARIANTS)
        if isinstance(regularizer, bool) or not isinstance(regularizer, int | float) or not regularizer > 0:
            raise OptionError(f"a regularizer of {regularizer!r} is none", remedy="give 1e-4, the default")
        self.regularizer = float(regularizer)
        self.variant = variant
        self.dims: Dims = check_dims(dims)
        add_strength(self, start)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return 1/E, (N, C, H, W)."""
        check_features(x, self.dims, mask)
        # Squares of half-precision values overflow early.
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        ones = [1] * self.dims
        mean = pool_positions(x, "avg", mask)
        squares = zero_padding((x - mean.reshape(*mean.shape, *ones)).square(), mask)
        variance = pool_positions(squares, "avg", mask)
        if self.variant == "authors":
            variance = variance * _bessel(x, mask)
        variance = variance.reshape(*variance.shape, *ones)
        return self.strength * (squares / (4 * (variance + self.regularizer)) + 0.5)

    def extra_repr(self) -> str:
        """Say which energy it is."""
        return f"regularizer={self.regularizer:g}, variant={self.variant}"


@attentions.register("simam", "SimAMModule", "SimAMAttention", "SimAMBlock")
class SimAM(Attention):
    """Simple, parameter-free attention: y = x · σ(1/E), every value weighed by how far it stands out in its channel.

    | equation | | shape |
    |---|---|---|
    | | μ, σ² = mean and variance of the channel over its M = H·W positions | (N, C) |
    | 5 | e* = 4·(σ² + λ) / ((t - μ)² + 2·σ² + 2·λ) for a value t | (N, C, H, W) |
    | 6 | y = σ(1/E) · x; 1/e* = (t - μ)² / (4·(σ² + λ)) + 1/2 | (N, C, H, W) |

    Parameters: 0. There are 1 with start `identity`, see there.

    Two forms are published: `paper` divides the variance by M, as equation 5 says; `authors` by n = M - 1, as the
    paper's pseudo-code and the authors' code do. The code divides by zero on a map of one position; here n is then 1,
    and the weight σ(1/2), that of a constant channel, in both forms.

    As 1/e* is at least 1/2, weights lie between σ(1/2) = 0.62 and 1: constant channels are damped and nothing is
    amplified.

    1e-4 is the default of λ; the authors' ImageNet models have 0.1.

    In the wild: wrappers demand a count of channels and ignore it.

    Args:
        channels: C, the channels of the features; nothing depends on it.
        regularizer: λ. On features of another scale than that behind a batch norm it is another function.
        variant: `paper` or `authors`, as above.
        start: `paper` is as published. `identity` is ours: as there is no layer to start at zero, 1/E is multiplied by
            a learned number that starts at 0; weights are then exactly 1 at the first step, and range over (0, 2).
        dims: Axes of positions: 1 for sequences (N, C, L), 2 for images, 3 for volumes (N, C, D, H, W).

    Raises:
        OptionError: If an option has no such value.

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
        """Return the features times their weights, one for each value.

        Args:
            x: Features (N, C, H, W), or as `dims` says.
            mask: (N, H, W), or as `dims` says: True where a position is real, False where it is padding; None if
                all are real. Padded positions never change the weights, and come out as zero.
        """
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)


def _bessel(x: Tensor, mask: Tensor | None) -> Tensor | float:
    """Return M / (M - 1), of each image where their lengths differ; 1 where M is 1."""
    if mask is None:
        count = x[0, 0].numel()
        return count / max(count - 1, 1)
    # Whole numbers would be divided in float32, whatever the features are.
    counts = mask.flatten(1).sum(1, keepdim=True).to(x.dtype)
    return counts / (counts - 1).clamp(min=1)
