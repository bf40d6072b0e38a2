"""CBAM: channel attention, then spatial attention (Woo et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, hidden_width, odd_kernel, zero_
from attendet.attention.catalog import attentions
from attendet.attention.dims import (
    CONVOLUTIONS,
    NORMS,
    Dims,
    check_dims,
    check_features,
    normalise,
    zero_padding,
)
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.errors import unknown_name
from attendet.ops.pooling import Pool, pool_channels, pool_kinds, pool_positions

PAPER = "Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module. ECCV 2018, arXiv:1807.06521"

Variant = Literal["plain", "authors", "timm"]
Order = Literal["channel-first", "spatial-first", "parallel", "channel-only", "spatial-only"]


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


ORDERS: Mapping[Order, tuple[str, ...]] = {
    "channel-first": ("channel", "spatial"),
    "spatial-first": ("spatial", "channel"),
    "parallel": ("channel", "spatial"),
    "channel-only": ("channel",),
    "spatial-only": ("spatial",),
}

# The authors' keys, then timm's. Both write the MLP's weights where ours are, timm as 1x1 convolutions.
FOREIGN_KEYS: Mapping[str, str] = {
    "ChannelGate.mlp.1.": "channel.fc1.",
    "ChannelGate.mlp.3.": "channel.fc2.",
    "SpatialGate.spatial.conv.": "spatial.conv.",
    "SpatialGate.spatial.bn.": "spatial.norm.",
    "spatial.conv.conv.": "spatial.conv.",
    "spatial.conv.bn.": "spatial.norm.",
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
        return normalise(self.norm, self.conv(zero_padding(planes, mask)), mask)

    def extra_repr(self) -> str:
        """Say which planes the convolution sees, in order."""
        return f"planes={'+'.join(self.planes)}"


class ChannelAttention(Attention):
    """CBAM's channel attention alone: F' = Mc(F) ⊗ F, equations 1 and 2 of the paper.

    Parameters: 2·C·h with h = C/reduction, and h + C more for the biases of variant `authors`.

    Args:
        channels: C, the channels of the features.
        reduction: r, by how much the MLP's hidden layer is narrower than C.
        variant: `plain`, `authors` or `timm`, see `CBAM`.
        start: `paper` or `identity`, see `CBAM`.
        pool: `avg`, `max`, `both`, the authors' `lp` and `lse`, or several of them.
        dims: 1, 2 or 3 axes of positions, see `CBAM`.

    Raises:
        OptionError: If an option has no such value, or no hidden channel would be left.

    Example:
        >>> attention = ChannelAttention(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
    """

    paper = PAPER

    def __init__(
        self,
        channels: int,
        *,
        reduction: float = 16,
        variant: Variant = "plain",
        start: Start = "paper",
        pool: str | Sequence[str] = "both",
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        self.gate = ChannelGate(channels, reduction, variant, start, pool, dims)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x (N, C, H, W) times its channel weights (N, C, 1, 1)."""
        return x * self.gate(x, mask)


class SpatialAttention(Attention):
    """CBAM's spatial attention alone: F'' = Ms(F') ⊗ F', equations 1 and 3 of the paper.

    Parameters: 2·k², and 2 more for the batch norm of variants `authors` and `timm`.

    Args:
        kernel_size: k, odd. The paper finds 7 better than 3.
        variant: `plain`, `authors` or `timm`, see `CBAM`.
        start: `paper` or `identity`, see `CBAM`.
        planes: Pools over channels that the convolution sees, in order; by default the variant's own.
        dims: 1, 2 or 3 axes of positions, see `CBAM`.

    Raises:
        OptionError: If an option has no such value, or the kernel is even.

    Example:
        >>> attention = SpatialAttention(kernel_size=3)
        >>> attention.gate(torch.rand(2, 64, 20, 20)).shape
        torch.Size([2, 1, 20, 20])
    """

    paper = PAPER

    def __init__(
        self,
        kernel_size: int = 7,
        *,
        variant: Variant = "plain",
        start: Start = "paper",
        planes: str | Sequence[str] | None = None,
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        self.gate = SpatialGate(kernel_size, variant, start, planes, dims)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x (N, C, H, W) times its spatial weights (N, 1, H, W)."""
        return x * self.gate(x, mask)


@attentions.register("cbam")
class CBAM(Attention):
    """Convolutional Block Attention Module: F' = Mc(F) ⊗ F, F'' = Ms(F') ⊗ F', equation 1 of the paper.

    Three things go by this name, and `variant` says which one runs:

    | variant | channel MLP | spatial convolution | planes | parameters |
    |---|---|---|---|---|
    | `plain`, the paper's formulas | no biases | no norm | max, avg | 2·C·h + 2·k² |
    | `authors`, their code | biases | BatchNorm(momentum 0.01) | max, avg | 2·C·h + h + C + 2·k² + 2 |
    | `timm`, timm's module | no biases | BatchNorm(momentum 0.1) | avg, max | 2·C·h + 2·k² + 2 |

    with h = C/reduction, rounded down (`timm`: to the nearest) and k = kernel_size.

    State dicts with the keys of the authors' code and of timm load into their variants.

    Args:
        channels: C, the channels of the features.
        reduction: r, by how much the MLP's hidden layer is narrower than C.
        kernel_size: k of the spatial convolution, odd. The paper finds 7 better than 3.
        variant: As above.
        start: `paper` starts as published: fresh gates multiply the features by about a quarter. `identity` is ours:
            all gates are exactly 1 at the first step, so that the network computes what it did without the module,
            and learn from there; they then range over (0, 2) instead of (0, 1).
        order: `channel-first` as published, or one of the arrangements of the paper's ablation: `spatial-first`;
            `parallel`, both gates computed from F, F'' = Mc(F) ⊗ Ms(F) ⊗ F; `channel-only`; `spatial-only`.
        pool: Pools of the channel gate: `avg`, `max`, `both`, the authors' `lp` and `lse`, or several of them.
        planes: Pools over channels that the spatial convolution sees, in order; by default the variant's own.
        dims: Axes of positions: 1 for sequences (N, C, L), 2 for images, 3 for volumes (N, C, D, H, W); the spatial
            convolution then has k, k² or k³ taps per plane.

    Attributes:
        channel: The channel gate; there is none in order `spatial-only`.
        spatial: The spatial gate; there is none in order `channel-only`.

    Raises:
        OptionError: If an option has no such value, the kernel is even, or no hidden channel would be left.

    Example:
        >>> attention = CBAM(64)
        >>> attention(torch.rand(2, 64, 20, 20)).shape
        torch.Size([2, 64, 20, 20])
        >>> sum(parameter.numel() for parameter in attention.parameters())
        610
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(CBAM(64, start="identity")(x), x)
        True
    """

    paper = PAPER
    channel: ChannelGate
    spatial: SpatialGate

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        kernel_size: int = 7,
        variant: Variant = "plain",
        start: Start = "paper",
        *,
        order: Order = "channel-first",
        pool: str | Sequence[str] = "both",
        planes: str | Sequence[str] | None = None,
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise unknown_name("order", order, ORDERS)
        self.order: Order = order
        if "channel" in ORDERS[order]:
            self.channel = ChannelGate(channels, reduction, variant, start, pool, dims)
        if "spatial" in ORDERS[order]:
            self.spatial = SpatialGate(kernel_size, variant, start, planes, dims)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features times the weights of the channels and of the positions.

        Args:
            x: Features (N, C, H, W), or as `dims` says.
            mask: (N, H, W), or as `dims` says: True where a position is real, False where it is padding; None if
                all are real. Padded positions never change the weights.
        """
        gated = x
        for name in ORDERS[self.order]:
            gated = gated * getattr(self, name)(x if self.order == "parallel" else gated, mask)
        return gated

    def extra_repr(self) -> str:
        """Say in which order the gates are applied."""
        return f"order={self.order}"


def _form(variant: Variant) -> Form:
    if variant not in FORMS:
        raise unknown_name("variant of CBAM", variant, FORMS)
    return FORMS[variant]
