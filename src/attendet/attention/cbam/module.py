"""CBAM: channel attention, then spatial attention (Woo et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from attendet.attention.base import Attention, Start
from attendet.attention.catalog import attentions
from attendet.attention.cbam.fused import Implementation, fused_forward
from attendet.attention.cbam.gates import ChannelGate, SpatialGate, Variant
from attendet.attention.dims import Dims, zero_padding
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.errors import unknown_name

PAPER = "Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module. ECCV 2018, arXiv:1807.06521"

Order = Literal["channel-first", "spatial-first", "parallel", "channel-only", "spatial-only"]


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
        >>> import torch
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
        """Return x (N, C, H, W) times its channel weights (N, C, 1, 1); the mask is that of `CBAM`."""
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)


class SpatialAttention(Attention):
    """CBAM's spatial attention alone: F'' = Ms(F') ⊗ F', equations 1 and 3 of the paper.

    Its weights are one plane whatever the channels are, so that it takes no count of them.

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
        >>> import torch
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
        """Return x (N, C, H, W) times its spatial weights (N, 1, H, W); the mask is that of `CBAM`."""
        x = zero_padding(x, mask)
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
            `parallel`, both gates computed from F, F'' = Mc(F) ⊗ Ms(F) ⊗ F; `channel-only`. `spatial-only` is ours.
        pool: Pools of the channel gate: `avg`, `max`, `both`, the authors' `lp` and `lse`, or several of them.
        planes: Pools over channels that the spatial convolution sees, in order; by default the variant's own.
        dims: Axes of positions: 1 for sequences (N, C, L), 2 for images, 3 for volumes (N, C, D, H, W); the spatial
            convolution then has k, k² or k³ taps per plane.

    Attributes:
        channel: The channel gate; there is none in order `spatial-only`.
        spatial: The spatial gate; there is none in order `channel-only`.
        implementation: `auto`, the default, takes fused operators where they apply and are known to be faster, on a
            CPU, and compiles them the first time; `reference` is plain torch; `fused` takes the fused operators, on a
            GPU too, or raises an OptionError. While the module is exported or a gate is watched, it is plain torch
            whatever this says.

    Raises:
        OptionError: If an option has no such value, the kernel is even, or no hidden channel would be left.

    Example:
        >>> import torch
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
    implementation: Implementation = "auto"

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
                all are real. Padded positions never change the weights, and come out as zero.
        """
        x = zero_padding(x, mask)
        fused = fused_forward(self, x, mask)
        if fused is not None:
            return fused
        gated = x
        for name in ORDERS[self.order]:
            gated = gated * getattr(self, name)(x if self.order == "parallel" else gated, mask)
        return gated

    def extra_repr(self) -> str:
        """Say in which order the gates are applied."""
        return f"order={self.order}"
