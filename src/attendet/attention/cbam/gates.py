"""CBAM's two gates: weights of channels, and weights of positions (Woo et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Gate, Start, hidden_width, odd_kernel, zero_
from attendet.attention.dims import CONVOLUTIONS, NORMS, Dims, check_dims, check_features, normalize, zero_padding
from attendet.errors import unknown_name
from attendet.ops.pooling import Pool, pool_channels, pool_kinds, pool_positions

Variant = Literal["plain", "authors", "timm"]


@dataclass(frozen=True)
class Form:
    """What the modules published under the name CBAM differ in."""

    mlp_bias: bool
    planes: tuple[Pool, ...]
    norm_momentum: float | None
    rounded: bool


FORMS: Mapping[Variant, Form] = {
    "plain": Form(mlp_bias=False, planes=("max", "avg"), norm_momentum=None, rounded=False),
    "authors": Form(mlp_bias=True, planes=("max", "avg"), norm_momentum=0.01, rounded=False),
    "timm": Form(mlp_bias=False, planes=("avg", "max"), norm_momentum=0.1, rounded=True),
}


class ChannelGate(Gate):
    """Mc(F) = σ(MLP(AvgPool(F)) + MLP(MaxPool(F))), one weight per channel: (N, C, H, W) → (N, C, 1, 1).

    Equation 2 of the paper. The MLP C → C/r → C with a ReLU between is shared by all pools.
    """

    def __init__(
        self, channels: int, reduction: float, variant: Variant, start: Start, pool: str | Sequence[str], dims: Dims
    ) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        form = _form(variant)
        self.pool = pool_kinds(pool)
        hidden = hidden_width(channels, reduction, rounded=form.rounded)
        self.fc1 = nn.Linear(channels, hidden, bias=form.mlp_bias)
        self.fc2 = nn.Linear(hidden, channels, bias=form.mlp_bias)
        if start == "identity":
            zero_(self.fc2.weight, self.fc2.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (N, C, 1, 1)."""
        check_features(x, self.dims, mask)
        pooled = torch.stack([pool_positions(x, kind, mask) for kind in self.pool])
        logits = self.fc2(torch.relu(self.fc1(pooled))).sum(0)
        return logits.reshape(*logits.shape, *[1] * self.dims)

    def extra_repr(self) -> str:
        """Say how it pools."""
        return f"pool={'+'.join(self.pool)}"


class SpatialGate(Gate):
    """Ms(F) = σ(f([MaxPool(F); AvgPool(F)])), one weight per position: (N, C, H, W) → (N, 1, H, W).

    Equation 3 of the paper. The pools are over channels, f is one convolution.
    """

    def __init__(
        self, kernel_size: int, variant: Variant, start: Start, planes: str | Sequence[str] | None, dims: Dims
    ) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        form = _form(variant)
        self.planes = form.planes if planes is None else pool_kinds(planes)
        size = odd_kernel(kernel_size)
        self.conv = CONVOLUTIONS[dims](len(self.planes), 1, size, padding=size // 2, bias=False)
        momentum = form.norm_momentum
        self.norm = nn.Identity() if momentum is None else NORMS[dims](1, momentum=momentum)
        if start == "identity":
            # Of two layers in a row only the last may start at zero, or the gradient would reach neither.
            last = self.conv if isinstance(self.norm, nn.Identity) else self.norm
            zero_(last.weight, last.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (N, 1, H, W)."""
        check_features(x, self.dims, mask)
        planes = torch.cat([pool_channels(x, kind) for kind in self.planes], dim=1)
        return normalize(self.norm, self.conv(zero_padding(planes, mask)), mask)

    def extra_repr(self) -> str:
        """Say which planes the convolution sees, in order."""
        return f"planes={'+'.join(self.planes)}"


def _form(variant: Variant) -> Form:
    if variant not in FORMS:
        raise unknown_name("variant of CBAM", variant, FORMS)
    return FORMS[variant]
