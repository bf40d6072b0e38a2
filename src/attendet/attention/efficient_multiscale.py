"""Efficient Multi-scale Attention (EMA): two parallel branches that weigh each other (Ouyang et al., ICASSP 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from attendet.attention.base import Attention, Gate, Start, check_channels, group_count, zero_
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.attention.norms import PlaneNorm

FOREIGN_KEYS: Mapping[str, str] = {"conv1x1.": "gate.conv1x1.", "conv3x3.": "gate.conv3x3.", "gn.": "gate.norm."}


class CrossGate(Gate):
    """Gate from two branches whose channel means weigh each other, one plane per group: (N, C, H, W) → same shape."""

    def __init__(self, channels: int, groups: int, start: Start) -> None:
        super().__init__(start)
        self.width = channels // groups
        self.conv1x1 = nn.Conv2d(self.width, self.width, 1)
        self.norm = PlaneNorm(self.width)
        self.conv3x3 = nn.Conv2d(self.width, self.width, 3, padding=1)
        if start == "identity":
            # The logits are linear in both branches, so each branch receives a gradient although the other is zero.
            zero_(self.norm.weight, self.norm.bias, self.conv3x3.weight, self.conv3x3.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C, H, W)."""
        axis_branch, local_branch = self.axis_branch(x), _convolve_groups(self.conv3x3, x)
        planes = self._weighted_sum(axis_branch, local_branch) + self._weighted_sum(local_branch, axis_branch)
        return planes.expand(-1, -1, self.width, -1, -1).flatten(1, 2)

    def axis_branch(self, x: Tensor) -> Tensor:
        """Return the branch of the 1x1 convolution, GN(x · σ(f^h) · σ(f^w)), of shape (N, C, H, W)."""
        rows = x.mean(3, keepdim=True)
        columns = x.mean(2, keepdim=True).transpose(2, 3)
        encoding = torch.sigmoid(_convolve_groups(self.conv1x1, torch.cat([rows, columns], dim=2)))
        row_gate, column_gate = encoding[:, :, : x.shape[2]], encoding[:, :, x.shape[2] :]
        weighted = x * row_gate * column_gate.transpose(2, 3)
        return self.norm(weighted.unflatten(1, (-1, self.width))).flatten(1, 2)

    def _weighted_sum(self, selecting: Tensor, selected: Tensor) -> Tensor:
        """Return each group's channel sum of `selected`, weighted by the softmax of the means of `selecting`.

        Both have the shape (N, C, H, W), the sums (N, G, 1, H, W).
        """
        weights = torch.softmax(selecting.mean((2, 3), keepdim=True).unflatten(1, (-1, self.width)), 2)
        return (weights * selected.unflatten(1, (-1, self.width))).sum(2, keepdim=True)

    def extra_repr(self) -> str:
        """Return the number of channels per group."""
        return f"channels per group={self.width}"


@attentions.register("ema", "EMAAttention", "EMAModule", "EfficientMultiScaleAttention")
class EMA(Attention):
    """Efficient Multi-scale Attention: one plane of weights per group of channels, computed from two branches.

    All G groups of c = C/G channels share the same weights:

    | step | | shape |
    |---|---|---|
    | 1x1 branch | z^h, z^w = means over columns, over rows; [f^h, f^w] = 1x1 convolution of both | (N, G, c, H + W) |
    | | x1 = GN(x · σ(f^h) · σ(f^w)), GN of one group per channel | (N, G, c, H, W) |
    | 3x3 branch | x2 = 3x3 convolution of x | (N, G, c, H, W) |
    | cross-spatial | p = softmax(mean of x1) · x2 + softmax(mean of x2) · x1, over channels | (N, G, 1, H, W) |
    | | y = x · σ(p) | (N, C, H, W) |

    With one norm group per channel, the mean of x1 over positions equals the bias of the norm for every x, so the
    softmax of that mean is a learned constant.

    Parameters: 10·c² + 4·c.

    Other versions: G = 8 in most copies for YOLO and 32 in the authors' code; a softmax over positions instead of
    channels; no norm.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features.
        groups: Number of groups G, a divisor of C; None for the authors' 32, or the largest smaller divisor with at
            least two channels per group (with one channel, the softmax is always 1).
        start: `paper` for the published initialization. `identity` (our addition) for weights that are exactly 1 at the
            first step and have the range (0, 2).

    Raises:
        OptionError: If an option has an invalid value, or `groups` does not divide the channels.

    Example:
        >>> attention = EMA(64, groups=8)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x * attention.gate(x))
        True
        >>> sum(parameter.numel() for parameter in attention.parameters())
        672
    """

    paper = (
        "Ouyang, He, Zhang, Luo, Guo, Zhan, Huang: Efficient Multi-Scale Attention Module with Cross-Spatial Learning. "
        "ICASSP 2023, arXiv:2305.13563"
    )

    def __init__(self, channels: int, groups: int | None = None, start: Start = "paper") -> None:
        super().__init__()
        if groups is None:
            channels = check_channels(channels)
            groups = group_count(channels, None, max_groups=max(min(32, channels // 2), 1))
        self.gate = CrossGate(channels, group_count(channels, groups, max_groups=32), start)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) multiplied by the weights of their groups."""
        return x * self.gate(x)


def _convolve_groups(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution of C/G channels to each group of C/G channels: (N, C, H, W) → the same shape.

    The groups do not become images of a larger batch, because runtimes such as ncnn have no batch axis.
    """
    groups = x.shape[1] // conv.in_channels
    # Not `repeat`, which imports a slow part of torch when shapes are computed without data.
    weight = conv.weight.expand(groups, *conv.weight.shape).flatten(0, 1)
    bias = None if conv.bias is None else conv.bias.expand(groups, -1).flatten()
    return functional.conv2d(x, weight, bias, padding=conv.padding, groups=groups)
