"""Triplet attention: three gates, one for each pair of axes (Misra et al., WACV 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, AttentionWeights, Gate, Start, check_channels, odd_kernel, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import normalize

Plane = Literal["hc", "cw", "hw"]

# The names in the authors' standalone module, then the names in their networks. In the latter, `H` and `W` are the axes
# that are pooled, not the axes of the plane.
_PLANES: Mapping[str, Plane] = {
    "hc.conv": "hc",
    "cw.conv": "cw",
    "hw.conv": "hw",
    "ChannelGateH.spatial": "cw",
    "ChannelGateW.spatial": "hc",
    "SpatialGate.spatial": "hw",
}
FOREIGN_KEYS: Mapping[str, str] = {
    f"{foreign}.{layer}.": f"gate.{plane}.{ours}."
    for foreign, plane in _PLANES.items()
    for layer, ours in (("conv", "conv"), ("bn", "norm"))
}

# Permutations of (N, C, H, W) that move the pooled axis to the second place and leave the plane at the end. Each
# permutation is its own inverse.
_PERMUTATIONS: Mapping[Plane, tuple[int, int, int, int]] = {
    "hc": (0, 3, 2, 1),
    "cw": (0, 2, 1, 3),
    "hw": (0, 1, 2, 3),
}


class PlaneGate(Gate):
    """Gate σ(BN(convolution of the Z-pool)) of one plane: (N, C, H, W) → one weight per point of the plane."""

    def __init__(self, plane: Plane, kernel_size: int, start: Start) -> None:
        super().__init__(start)
        self.plane: Plane = plane
        size = odd_kernel(kernel_size)
        self.conv = nn.Conv2d(2, 1, size, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)
        if start == "identity":
            zero_(self.norm.weight, self.norm.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return (N, C, H, 1) for `hc`, (N, C, 1, W) for `cw`, (N, 1, H, W) for `hw`."""
        permuted = x.permute(_PERMUTATIONS[self.plane])
        pooled = torch.cat([permuted.amax(1, keepdim=True), permuted.mean(1, keepdim=True)], dim=1)
        return normalize(self.norm, self.conv(pooled)).permute(_PERMUTATIONS[self.plane])

    def extra_repr(self) -> str:
        """Return the plane of the gate."""
        return f"plane={self.plane}"


class TripletWeights(AttentionWeights):
    """Mean of the gates of the three planes: (N, C, H, W) → the same shape."""

    def __init__(self, kernel_size: int, start: Start) -> None:
        super().__init__()
        self.hc = PlaneGate("hc", kernel_size, start)
        self.cw = PlaneGate("cw", kernel_size, start)
        self.hw = PlaneGate("hw", kernel_size, start)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights (N, C, H, W)."""
        return (self.hc(x) + self.cw(x) + self.hw(x)) / 3


@attentions.register("triplet", "TripletAttention", "TripletAtt", "TripletModule")
class TripletAttention(Attention):
    """Triplet Attention: the mean of the features gated in the planes (H, C), (C, W), and (H, W).

    | step | | shape |
    |---|---|---|
    | Z-pool | Z(x) = [max over an axis; mean over it] | two planes of the other axes |
    | gates | ω = σ(BN(ψ(Z(x)))), with a separate k×k convolution ψ per plane | as the plane |
    | mean | y = (x·ω_hc + x·ω_cw + x·ω_hw) / 3 | (N, C, H, W) |

    It is computed as x times the mean of the three gates, so that the submodule `gate` returns the factor of x, and
    `gate.hc`, `gate.cw`, and `gate.hw` return its parts.

    Parameters: 6·k² + 6 for any C; the paper counts 6·k².

    Other versions: copies with the two planes of the Z-pool in the other order, which is the same function of permuted
    weights; one convolution shared by all planes; the sum instead of the mean.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features; it has no effect.
        kernel_size: Kernel size k, odd.
        start: `paper` for the published initialization. `identity` (our addition) for gates that are exactly 1 at the
            first step and have the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value, such as an even kernel size.

    Example:
        >>> attention = TripletAttention(64)
        >>> attention.gate.cw(torch.rand(2, 64, 20, 12)).shape
        torch.Size([2, 64, 1, 12])
        >>> sum(parameter.numel() for parameter in attention.parameters())
        300
    """

    paper = (
        "Misra, Nalamada, Arasanipalai, Hou: Rotate to Attend: Convolutional Triplet Attention Module. WACV 2021, "
        "arXiv:2010.03045"
    )

    def __init__(self, channels: int, kernel_size: int = 7, start: Start = "paper") -> None:
        super().__init__()
        check_channels(channels)
        self.gate = TripletWeights(kernel_size, start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by their weights."""
        return x * self.gate(x)
