"""CBAM: channel attention, then spatial attention (Woo et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from attendet.attention.base import Attention, Start, check_channels
from attendet.attention.catalog import attentions
from attendet.attention.cbam.foreign_names import FOREIGN_KEYS, reorder_planes
from attendet.attention.cbam.fused import Implementation, fused_forward
from attendet.attention.cbam.gates import ChannelGate, SpatialGate, Variant
from attendet.attention.dims import Dims, zero_padding
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.errors import unknown_name

_PAPER = "Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module. ECCV 2018, arXiv:1807.06521"

Order = Literal["channel-first", "spatial-first", "parallel", "channel-only", "spatial-only"]

_GATES: Mapping[Order, tuple[str, ...]] = {
    "channel-first": ("channel", "spatial"),
    "spatial-first": ("spatial", "channel"),
    "parallel": ("channel", "spatial"),
    "channel-only": ("channel",),
    "spatial-only": ("spatial",),
}


class ChannelAttention(Attention):
    """Channel attention of CBAM alone: F' = Mc(F) ⊗ F, equations 1 and 2 of the paper.

    Parameters: 2·C·h with h = C/reduction, plus h + C for the biases of the variants `authors` and `biased`.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels of the MLP.
        variant: `plain`, `biased`, `authors`, or `timm`, see `CBAM`.
        start: `paper` or `identity`, see `CBAM`.
        pool: `avg`, `max`, `both`, the authors' `lp` and `lse`, or a list of these.
        dims: Number of position axes, 1, 2, or 3, see `CBAM`.

    Raises:
        OptionError: If an option has an invalid value, or `reduction` leaves no hidden channel.

    Example:
        >>> import torch
        >>> attention = ChannelAttention(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
    """

    paper = _PAPER

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
        self.gate = ChannelGate(check_channels(channels), reduction, variant, start, pool, dims)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x (N, C, H, W) multiplied by its channel weights (N, C, 1, 1); for `mask` see `CBAM.forward`."""
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)


class SpatialAttention(Attention):
    """Spatial attention of CBAM alone: F'' = Ms(F') ⊗ F', equations 1 and 3 of the paper.

    The weights are a single plane for any number of channels, so there is no argument `channels`.

    Parameters: 2·k², plus 2 for the batch norm of the variants `authors` and `timm`, or 1 for the bias of `biased`.

    Args:
        kernel_size: Kernel size k, odd. The paper finds 7 better than 3.
        variant: `plain`, `biased`, `authors`, or `timm`, see `CBAM`.
        start: `paper` or `identity`, see `CBAM`.
        planes: Pools over channels that the convolution receives, in order (default: the planes of the variant).
        dims: Number of position axes, 1, 2, or 3, see `CBAM`.

    Raises:
        OptionError: If an option has an invalid value, such as an even kernel size.

    Example:
        >>> import torch
        >>> attention = SpatialAttention(kernel_size=3)
        >>> attention.gate(torch.rand(2, 64, 20, 20)).shape
        torch.Size([2, 1, 20, 20])
    """

    paper = _PAPER

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
        """Return x (N, C, H, W) multiplied by its spatial weights (N, 1, H, W); for `mask` see `CBAM.forward`."""
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)


@attentions.register("cbam", "CBAMBlock", "CBAMLayer", "CBAMModule", "CBAMAttention")
class CBAM(Attention):
    """Convolutional Block Attention Module: F' = Mc(F) ⊗ F, F'' = Ms(F') ⊗ F', equation 1 of the paper.

    | equation | | shape |
    |---|---|---|
    | 2 | Mc(F) = σ(MLP(AvgPool(F)) + MLP(MaxPool(F))), pools over positions | (N, C, 1, 1) |
    | 3 | Ms(F) = σ(f([AvgPool(F); MaxPool(F)])), pools over channels, f a 7x7 convolution | (N, 1, H, W) |

    Four different modules are known as CBAM, and `variant` selects one of them:

    | variant | channel MLP | spatial convolution | planes | parameters |
    |---|---|---|---|---|
    | `plain`, the paper's formulas | no biases | no norm | avg, max | 2·C·h + 2·k² |
    | `biased`, common in forks of YOLO | biases | bias, no norm | avg, max | 2·C·h + h + C + 2·k² + 1 |
    | `authors`, their code | biases | BatchNorm(momentum 0.01) | max, avg | 2·C·h + h + C + 2·k² + 2 |
    | `timm`, timm's module | no biases | BatchNorm(momentum 0.1) | avg, max | 2·C·h + 2·k² + 2 |

    with h = C/reduction, rounded down (`timm`: to the nearest integer) and k = kernel_size.

    The planes of `plain` are in the order of equation 3, which most other implementations have, too. The authors' code
    has the opposite order. `planes` selects an order for any variant; exchanging the two input planes of
    `spatial.conv.weight` converts weights from one order to the other.

    Another module that is also called CBAM, with a full layer C → C instead of the MLP, is `UltralyticsCBAM`.

    State dicts with the keys of the authors' code, of timm, and of common copies load into the variant with their
    layers. The weights of the spatial convolution are put into the order of `planes`: the authors' code has max, avg;
    the others have avg, max.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels of the MLP.
        kernel_size: Kernel size k of the spatial convolution, odd. The paper finds 7 better than 3.
        variant: `plain`, `biased`, `authors`, or `timm`, see above.
        start: `paper` for the published initialization, which multiplies the features by about a quarter. `identity`
            (our addition) for gates that are exactly 1 at the first step, so that inserting the module does not change
            the output of a network. They have the range (0, 2) instead of (0, 1).
        order: `channel-first` as published, or an arrangement of the paper's ablation: `spatial-first`; `parallel`,
            with both gates computed from F, F'' = Mc(F) ⊗ Ms(F) ⊗ F; `channel-only`. `spatial-only` is our addition.
        pool: Pools of the channel gate: `avg`, `max`, `both`, the authors' `lp` and `lse`, or a list of these.
        planes: Pools over channels that the spatial convolution receives, in order (default: planes of the variant).
        dims: Number of position axes: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for volumes
            (N, C, D, H, W). The spatial convolution has k, k², or k³ taps per plane.

    Attributes:
        channel: The channel gate; missing with the order `spatial-only`.
        spatial: The spatial gate; missing with the order `channel-only`.
        implementation: `auto` (default) uses the fused operators if they support the call and are known to be faster,
            which is the case on CPUs, and compiles them on first use. `reference` uses plain torch. `fused` uses the
            fused operators, also on GPUs, or raises an OptionError. Regardless of this attribute, plain torch is used
            while the module is exported or a gate has a hook.

    Raises:
        OptionError: If an option has an invalid value, such as an even kernel size, or `reduction` leaves no hidden
            channel.

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

    paper = _PAPER
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
        channels = check_channels(channels)
        if order not in _GATES:
            raise unknown_name("order", order, _GATES)
        self.order: Order = order
        if "channel" in _GATES[order]:
            self.channel = ChannelGate(channels, reduction, variant, start, pool, dims)
        if "spatial" in _GATES[order]:
            self.spatial = SpatialGate(kernel_size, variant, start, planes, dims)
        accept_foreign_keys(self, FOREIGN_KEYS, reorder_planes)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features multiplied by the weights of their channels and positions.

        Args:
            x: Features (N, C, H, W), or the shape for `dims`.
            mask: Bool mask (N, H, W), or the shape for `dims`: True at real positions, False at padding; None if all
                positions are real. Padding does not change the weights, and the output is zero there.
        """
        x = zero_padding(x, mask)
        fused = fused_forward(self, x, mask)
        if fused is not None:
            return fused
        gated = x
        for name in _GATES[self.order]:
            gated = gated * getattr(self, name)(x if self.order == "parallel" else gated, mask)
        return gated

    def extra_repr(self) -> str:
        """Return the order of the gates."""
        return f"order={self.order}"
