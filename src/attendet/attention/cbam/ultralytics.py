"""The module that the Ultralytics package calls CBAM, which differs from CBAM as published."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, zero_
from attendet.attention.catalog import attentions
from attendet.attention.cbam.gates import SpatialGate
from attendet.attention.dims import check_features
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.ops.pooling import pool_positions

FOREIGN_KEYS: Mapping[str, str] = {
    "channel_attention.fc.": "channel.fc.",
    "spatial_attention.cv1.": "spatial.conv.",
}


class MeanGate(Gate):
    """Gate σ(W z + b), where z is the mean over positions, W of C × C: (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, channels: int, start: Start) -> None:
        super().__init__(start)
        channels = check_channels(channels)
        self.fc = nn.Linear(channels, channels)
        if start == "identity":
            zero_(self.fc.weight, self.fc.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C, 1, 1)."""
        check_features(x, 2)
        return self.fc(pool_positions(x, "avg"))[:, :, None, None]


@attentions.register("ultralytics-cbam")
class UltralyticsCBAM(Attention):
    """The module `CBAM` of the Ultralytics package: channel weights from a full linear layer, then spatial weights.

    This is not CBAM as published. It has no max pool over positions, and one layer C → C instead of the MLP with its
    reduction. The Ultralytics package, and forks that copy from it, call this module CBAM. `CBAM` is the published
    module with its variants.

    | step | | shape |
    |---|---|---|
    | channels | F' = σ(W z + b) ⊗ F, z = mean of F over positions, a 1x1 convolution C → C | (N, C, H, W) |
    | positions | F'' = σ(f([AvgPool(F'); MaxPool(F')])) ⊗ F', pools over channels, f a k×k convolution | (N, C, H, W) |

    Parameters: C² + C + 2·k². That is 262,754 for C = 512 and k = 7; `CBAM` has 32,866.

    State dicts with the keys of the package (`channel_attention.fc`, `spatial_attention.cv1`) load.

    Args:
        channels: Number of channels C of the features.
        kernel_size: Kernel size k of the spatial convolution, odd.
        start: `paper` for the usual initialization, which multiplies the features by about a quarter. `identity` (our
            addition) for gates that are exactly 1 at the first step and have the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value, such as an even kernel size.

    Example:
        >>> import torch
        >>> attention = UltralyticsCBAM(64)
        >>> attention(torch.rand(2, 64, 20, 20)).shape
        torch.Size([2, 64, 20, 20])
        >>> sum(parameter.numel() for parameter in attention.parameters())
        4258
    """

    paper = "no paper: a module of the Ultralytics package, after CBAM (Woo et al., ECCV 2018, arXiv:1807.06521)"

    def __init__(self, channels: int, kernel_size: int = 7, start: Start = "paper") -> None:
        super().__init__()
        self.channel = MeanGate(channels, start)
        self.spatial = SpatialGate(kernel_size, "plain", start, planes=None, dims=2)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by both gates."""
        gated = x * self.channel(x)
        return gated * self.spatial(gated)
