"""Triplet attention: three gates, each seeing two of the three axes (Misra et al., WACV 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, Weights, check_channels, odd_kernel, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys

Plane = Literal["hc", "cw", "hw"]

# The names of the authors' module alone, then those of the one in their networks. There `H` and `W` say which axis is
# pooled over, not which are left.
PLANES: Mapping[str, Plane] = {
    "hc.conv": "hc",
    "cw.conv": "cw",
    "hw.conv": "hw",
    "ChannelGateH.spatial": "cw",
    "ChannelGateW.spatial": "hc",
    "SpatialGate.spatial": "hw",
}
FOREIGN_KEYS: Mapping[str, str] = {
    f"{foreign}.{layer}.": f"gate.{plane}.{ours}."
    for foreign, plane in PLANES.items()
    for layer, ours in (("conv", "conv"), ("bn", "norm"))
}

# How (N, C, H, W) is turned so that the second axis is the one to pool over and the plane is what is left. Each of
# the three is its own inverse.
TURNS: Mapping[Plane, tuple[int, int, int, int]] = {"hc": (0, 3, 2, 1), "cw": (0, 2, 1, 3), "hw": (0, 1, 2, 3)}


class PlaneGate(Gate):
    """σ(BN(a convolution of the Z-pool)) in one plane: (N, C, H, W) → a weight for every point of the plane."""

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
        turned = x.permute(TURNS[self.plane])
        pooled = torch.cat([turned.amax(1, keepdim=True), turned.mean(1, keepdim=True)], dim=1)
        return self.norm(self.conv(pooled)).permute(TURNS[self.plane])

    def extra_repr(self) -> str:
        """Say which plane it weighs."""
        return f"plane={self.plane}"


class TripletWeights(Weights):
    """The mean of the gates of the three planes: (N, C, H, W) → the same shape."""

    def __init__(self, kernel_size: int, start: Start) -> None:
        super().__init__()
        self.hc = PlaneGate("hc", kernel_size, start)
        self.cw = PlaneGate("cw", kernel_size, start)
        self.hw = PlaneGate("hw", kernel_size, start)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        return (self.hc(x) + self.cw(x) + self.hw(x)) / 3


@attentions.register("triplet", "TripletAttention", "TripletAtt", "TripletModule")
class TripletAttention(Attention):
    """Triplet Attention: the mean of x weighed in the planes (H, C), (C, W) and (H, W).

    | step | | shape |
    |---|---|---|
    | Z-pool | Z(x) = [max over an axis; mean over it] | two planes of the other axes |
    | gates | ω = σ(BN(ψ(Z(x)))), each plane with a k×k convolution ψ of its own | as the plane |
    | mean | y = (x·ω_hc + x·ω_cw + x·ω_hw) / 3 | (N, C, H, W) |

    It is computed as x times the mean of the three, so that `gate` gives what x is multiplied by, and `gate.hc`,
    `gate.cw` and `gate.hw` its parts.

    Parameters: 6·k² + 6, whatever C; the paper counts 6·k².

    In the wild: copies with the two planes of the Z-pool in the other order, the same function of other weights; one
    convolution shared by all planes; the sum instead of the mean.

    State dicts with the keys of the authors' code load.

    Args:
        channels: C, the channels of the features; nothing depends on it.
        kernel_size: k, odd.
        start: `paper` starts as published. `identity` is ours: all gates are exactly 1 at the first step, and range
            over (0, 2) from there.

    Raises:
        OptionError: If an option has no such value, or the kernel is even.

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
        """Return the features (N, C, H, W) times their weights."""
        return x * self.gate(x)
