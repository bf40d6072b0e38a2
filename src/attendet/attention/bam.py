"""Bottleneck Attention Module (BAM): channel and spatial attention in parallel (Park et al., BMVC 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, hidden_width, zero_
from attendet.attention.catalog import attentions
from attendet.attention.dims import CONVOLUTIONS, NORMS, Dims, check_dims, check_features, zero_padding
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import normalize
from attendet.errors import unknown_name
from attendet.ops.pooling import pool_positions
from attendet.utils.option_values import positive_integer

Variant = Literal["paper", "authors"]
_VARIANTS: tuple[Variant, ...] = ("paper", "authors")

FOREIGN_KEYS: Mapping[str, str] = {
    "channel_att.gate_c.gate_c_fc_0.": "gate.channel.fc1.",
    "channel_att.gate_c.gate_c_bn_1.": "gate.channel.norm.",
    "channel_att.gate_c.gate_c_fc_final.": "gate.channel.fc2.",
    "spatial_att.gate_s.gate_s_conv_reduce0.": "gate.spatial.reduce.conv.",
    "spatial_att.gate_s.gate_s_bn_reduce0.": "gate.spatial.reduce.norm.",
    "spatial_att.gate_s.gate_s_conv_di_0.": "gate.spatial.dilated1.conv.",
    "spatial_att.gate_s.gate_s_bn_di_0.": "gate.spatial.dilated1.norm.",
    "spatial_att.gate_s.gate_s_conv_di_1.": "gate.spatial.dilated2.conv.",
    "spatial_att.gate_s.gate_s_bn_di_1.": "gate.spatial.dilated2.norm.",
    "spatial_att.gate_s.gate_s_conv_final.": "gate.spatial.final.",
}


class ChannelBranch(nn.Module):
    """Channel branch Mc(F) = W1(ReLU(BN(W0 AvgPool(F)))): (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits of the channels."""
        logits = self.fc2(torch.relu(normalize(self.norm, self.fc1(pool_positions(x, "avg", mask)))))
        return logits.reshape(*logits.shape, *[1] * (x.ndim - 2))


class NormedConv(nn.Module):
    """Convolution that keeps the size of the map, followed by batch norm and ReLU."""

    def __init__(self, channels: int, width: int, kernel_size: int, dilation: int, dims: Dims) -> None:
        super().__init__()
        padding = kernel_size // 2 * dilation
        self.conv = CONVOLUTIONS[dims](channels, width, kernel_size, padding=padding, dilation=dilation)
        self.norm = NORMS[dims](width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map (N, width, H, W)."""
        return torch.relu(normalize(self.norm, self.conv(x), mask))


class SpatialBranch(nn.Module):
    """Spatial branch Ms(F): 1x1 to the hidden width, two dilated 3x3, 1x1 to one plane: (N, C, H, W) → (N, 1, H, W)."""

    def __init__(self, channels: int, hidden: int, dilation: int, dims: Dims) -> None:
        super().__init__()
        self.reduce = NormedConv(channels, hidden, 1, 1, dims)
        self.dilated1 = NormedConv(hidden, hidden, 3, dilation, dims)
        self.dilated2 = NormedConv(hidden, hidden, 3, dilation, dims)
        self.final = CONVOLUTIONS[dims](hidden, 1, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits of the positions."""
        x = zero_padding(x, mask)
        for layer in (self.reduce, self.dilated1, self.dilated2):
            x = layer(x, mask)
        return self.final(x)


class BAMGate(Gate):
    """Gate 1 + σ(Mc(F) + Ms(F)), or 1 + σ(Mc(F) · Ms(F)), with one weight per value of the features (N, C, H, W)."""

    def __init__(
        self, channels: int, reduction: float, dilation: int, variant: Variant, start: Start, dims: Dims
    ) -> None:
        super().__init__(start, published=(1.0, 2.0))
        self.dims: Dims = check_dims(dims)
        if variant not in _VARIANTS:
            raise unknown_name("variant of BAM", variant, _VARIANTS)
        self.variant = variant
        hidden = hidden_width(channels, reduction)
        self.channel = ChannelBranch(channels, hidden)
        self.spatial = SpatialBranch(channels, hidden, positive_integer("dilation", dilation), dims)
        if start == "identity":
            # If both factors of a product started at zero, neither would receive a gradient.
            zero_(self.spatial.final.weight, self.spatial.final.bias)
            if variant == "paper":
                zero_(self.channel.fc2.weight, self.channel.fc2.bias)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (N, C, H, W)."""
        check_features(x, self.dims, mask)
        channel, spatial = self.channel(x, mask), self.spatial(x, mask)
        return channel + spatial if self.variant == "paper" else channel * spatial

    def extra_repr(self) -> str:
        """Return the variant, which determines how the branches are combined."""
        return f"variant={self.variant}"


@attentions.register("bam", "BAMBlock", "BAMLayer", "BAMModule", "BAMAttention")
class BAM(Attention):
    """Bottleneck Attention Module: F + F ⊗ σ(Mc(F) + Ms(F)), equations 1 and 2 of the paper.

    Both published forms are available. `paper` adds the branches. `authors` multiplies them, σ(Mc(F) · Ms(F)), as the
    authors' code does. Both use the layers of the code, which normalizes inside of the branches; the paper's equations
    3 and 4 have one batch norm at the end of each branch.

    Parameters, with h = C/reduction rounded down: (2·C·h + 3·h + C) + (C·h + 3·h) + 2·(9·h² + 3·h) + (h + 1).

    During training the channel branch normalizes over the images of a batch. With a single image per batch, it uses the
    running statistics instead, which then keep their values.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels of the branches.
        dilation: Dilation d of the 3x3 convolutions. The paper finds 4 to be the best.
        variant: `paper` or `authors`, see above.
        start: `paper` for the published initialization, with gates in (1, 2). `identity` (our addition) for gates that
            are exactly 1 at the first step and have the range (0, 2).
        dims: Number of position axes: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for volumes
            (N, C, D, H, W). The dilated convolutions have 3, 9, or 27 taps.

    Raises:
        OptionError: If an option has an invalid value, or `reduction` leaves no hidden channel.

    Example:
        >>> attention = BAM(64)
        >>> attention(torch.rand(2, 64, 20, 20)).shape
        torch.Size([2, 64, 20, 20])
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(BAM(64, start="identity")(x), x)
        True
    """

    paper = "Park, Woo, Lee, Kweon: BAM: Bottleneck Attention Module. BMVC 2018, arXiv:1807.06514"

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        dilation: int = 4,
        variant: Variant = "paper",
        start: Start = "paper",
        *,
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        self.gate = BAMGate(check_channels(channels), reduction, dilation, variant, start, dims)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features multiplied by one weight per value.

        Args:
            x: Features (N, C, H, W), or the shape for `dims`.
            mask: Bool mask (N, H, W), or the shape for `dims`: True at real positions, False at padding; None if all
                positions are real. Padding does not change the weights, and the output is zero there.
        """
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)
