"""The two gates of CBAM: weights of channels and weights of positions (Woo et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Gate, Start, hidden_width, odd_kernel, zero_
from attendet.attention.dims import CONVOLUTIONS, NORMS, Dims, check_dims, check_features, zero_padding
from attendet.attention.norms import normalize
from attendet.errors import unknown_name
from attendet.ops.pooling import Pool, parse_pools, pool_channels, pool_positions

Variant = Literal["plain", "biased", "authors", "timm"]


@dataclass(frozen=True)
class VariantLayers:
    """The differences between the modules that are published as CBAM.

    Attributes:
        mlp_bias: Whether the layers of the channel MLP have biases.
        conv_bias: Whether the spatial convolution has a bias.
        planes: Pools over channels that the spatial convolution receives, in order.
        norm_momentum: Momentum of the batch norm after the spatial convolution; None for no norm.
        rounded: Whether the hidden width is rounded to the nearest integer instead of down.
    """

    mlp_bias: bool = False
    conv_bias: bool = False
    planes: tuple[Pool, ...] = ("avg", "max")
    norm_momentum: float | None = None
    rounded: bool = False


_VARIANTS: Mapping[Variant, VariantLayers] = {
    "plain": VariantLayers(),
    "biased": VariantLayers(mlp_bias=True, conv_bias=True),
    "authors": VariantLayers(mlp_bias=True, planes=("max", "avg"), norm_momentum=0.01),
    "timm": VariantLayers(norm_momentum=0.1, rounded=True),
}


class ChannelGate(Gate):
    """Channel gate Mc(F) = σ(MLP(AvgPool(F)) + MLP(MaxPool(F))), one weight per channel: (N, C, H, W) → (N, C, 1, 1).

    Equation 2 of the paper. All pools share the MLP C → C/r → C with a ReLU in between.
    """

    def __init__(
        self, channels: int, reduction: float, variant: Variant, start: Start, pool: str | Sequence[str], dims: Dims
    ) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        layers = _layers_of(variant)
        self.pool = parse_pools(pool)
        hidden = hidden_width(channels, reduction, rounded=layers.rounded)
        self.fc1 = nn.Linear(channels, hidden, bias=layers.mlp_bias)
        self.fc2 = nn.Linear(hidden, channels, bias=layers.mlp_bias)
        if start == "identity":
            zero_(self.fc2.weight, self.fc2.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (N, C, 1, 1)."""
        check_features(x, self.dims, mask)
        # Not stacked on the batch axis, which ncnn does not have: its converter would write wrong sums with no error.
        pooled = torch.stack([pool_positions(x, kind, mask) for kind in self.pool], dim=1)
        logits = self.fc2(torch.relu(self.fc1(pooled))).sum(1)
        return logits.reshape(*logits.shape, *[1] * self.dims)

    def extra_repr(self) -> str:
        """Return the pools."""
        return f"pool={'+'.join(self.pool)}"


class SpatialGate(Gate):
    """Spatial gate Ms(F) = σ(f([AvgPool(F); MaxPool(F)])), one weight per position: (N, C, H, W) → (N, 1, H, W).

    Equation 3 of the paper. The pools reduce the channels, and f is a convolution. The order of the two planes depends
    on the variant.
    """

    def __init__(
        self, kernel_size: int, variant: Variant, start: Start, planes: str | Sequence[str] | None, dims: Dims
    ) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        layers = _layers_of(variant)
        self.planes = layers.planes if planes is None else parse_pools(planes)
        self.has_named_planes = planes is not None
        size = odd_kernel(kernel_size)
        self.conv = CONVOLUTIONS[dims](len(self.planes), 1, size, padding=size // 2, bias=layers.conv_bias)
        momentum = layers.norm_momentum
        self.norm = nn.Identity() if momentum is None else NORMS[dims](1, momentum=momentum)
        if start == "identity":
            # If both of two consecutive layers started at zero, neither would receive a gradient.
            last = self.conv if isinstance(self.norm, nn.Identity) else self.norm
            zero_(last.weight, last.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (N, 1, H, W)."""
        check_features(x, self.dims, mask)
        planes = torch.cat([pool_channels(x, kind) for kind in self.planes], dim=1)
        return normalize(self.norm, self.conv(zero_padding(planes, mask)), mask)

    def extra_repr(self) -> str:
        """Return the planes that the convolution receives, in order."""
        return f"planes={'+'.join(self.planes)}"


def _layers_of(variant: Variant) -> VariantLayers:
    if variant not in _VARIANTS:
        raise unknown_name("variant of CBAM", variant, _VARIANTS)
    return _VARIANTS[variant]
