"""Large Selective Kernel (LSK): a choice of kernel for every position (Li et al., LSKNet, ICCV 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, AttentionWeights, Gate, Start, check_channels, check_start, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.errors import OptionError
from attendet.ops.pooling import pool_channels

FOREIGN_KEYS: Mapping[str, str] = {
    "conv0.": "gate.near.",
    "conv_spatial.": "gate.far.",
    "conv1.": "gate.mix_near.",
    "conv2.": "gate.mix_far.",
    "conv_squeeze.": "gate.selection.conv.",
    "conv.": "gate.join.",
}


class SelectionGate(Gate):
    """Gate σ(7x7 convolution of the channel mean and maximum), one plane per kernel: (N, C, H, W) → (N, 2, H, W)."""

    def __init__(self) -> None:
        super().__init__("paper")
        self.conv = nn.Conv2d(2, 2, 7, padding=3)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, 2, H, W)."""
        return self.conv(torch.cat([pool_channels(x, "avg"), pool_channels(x, "max")], dim=1))


class LargeKernelWeights(AttentionWeights):
    """Weights S = F(Σ SA_i · U~_i) without bounds: (N, C, H, W) → same shape. `selection` computes the planes SA_i."""

    def __init__(self, channels: int, start: Start) -> None:
        super().__init__()
        half = channels // 2
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, groups=channels, dilation=3)
        self.mix_near = nn.Conv2d(channels, half, 1)
        self.mix_far = nn.Conv2d(channels, half, 1)
        self.selection = SelectionGate()
        self.join = nn.Conv2d(half, channels, 1)
        if start == "identity" and self.join.bias is not None:
            zero_(self.join.weight)
            nn.init.ones_(self.join.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights (N, C, H, W) in the dtype of x."""
        near = self.near(x)
        mixed = self.mix_near(near), self.mix_far(self.far(near))
        planes = self.selection(torch.cat(mixed, dim=1))
        return self.join(mixed[0] * planes[:, :1] + mixed[1] * planes[:, 1:]).to(x.dtype)


@attentions.register("lsk", "LSKBlock", "LSKModule", "LSKAttention", "LSKNet")
class LSK(Attention):
    """Large Selective Kernel: multiply the features by a mixture of large-kernel convolutions selected per position.

    | equation | | shape |
    |---|---|---|
    | 2 | U_1 = depthwise 5x5 of x, U_2 = depthwise 7x7 of dilation 3 of U_1, receptive field 23 | (N, C, H, W) |
    | 3 | U~_i = 1x1 convolution of U_i | (N, C/2, H, W) |
    | 4, 5 | SA = [mean; max] over the channels of [U~_1; U~_2] | (N, 2, H, W) |
    | 6, 7 | SA~ = σ(7x7 convolution of SA) | (N, 2, H, W) |
    | 8 | S = 1x1 convolution of SA~_1 · U~_1 + SA~_2 · U~_2, to C channels | (N, C, H, W) |
    | 9 | y = x · S | (N, C, H, W) |

    S is not a gate: it has no sigmoid and can be negative. The submodule `gate` computes S, and `gate.selection` the
    gates SA~. Widths, biases, and the two kernels follow the authors' code.

    Parameters: 26·C + 50·C + 2·(C·C/2 + C/2) + 198 + (C/2·C + C), which is 3/2·C² + 78·C + 198.

    Other versions: in LSKNet, the module is located between two 1x1 convolutions with a GELU and a residual connection;
    such whole blocks have the same names.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features, even.
        start: `paper` for the published initialization. `identity` (our addition) initializes the last convolution with
            weights 0 and biases 1, so that S is exactly 1 at the first step.

    Raises:
        OptionError: If an option has an invalid value, or the number of channels is odd.

    Example:
        >>> attention = LSK(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
        >>> sum(parameter.numel() for parameter in attention.parameters())
        11334
    """

    paper = (
        "Li, Hou, Zheng, Cheng, Yang, Li: Large Selective Kernel Network for Remote Sensing Object Detection. "
        "ICCV 2023, arXiv:2303.09030"
    )

    def __init__(self, channels: int, start: Start = "paper") -> None:
        super().__init__()
        check_start(start)
        channels = check_channels(channels)
        if channels % 2:
            raise OptionError(f"`channels` must be even, got {channels}")
        self.gate = LargeKernelWeights(channels, start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by their weights."""
        return x * self.gate(x)
