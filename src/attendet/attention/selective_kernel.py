"""SK: branches of different reach, and a softmax for every channel that chooses among them (Li et al., CVPR 2019)."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Shares, Start, add_strength, check_start, group_count, wide_hidden_width
from attendet.attention.catalog import attentions
from attendet.errors import OptionError
from attendet.ops.pooling import pool_positions


class Branch(nn.Module):
    """A grouped 3x3 convolution of some dilation, batch norm, ReLU: (N, C, H, W) → the same shape."""

    def __init__(self, channels: int, groups: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features that have seen further the greater the dilation."""
        return torch.relu(self.norm(self.conv(x)))


class BranchShares(Shares):
    """Softmax over branches of A z, z = ReLU(BN(W s)), s the mean over positions: (N, C, H, W) → (N, M, C, 1, 1)."""

    def __init__(self, channels: int, hidden: int, branches: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.select = nn.Linear(hidden, branches * channels, bias=False)

    def forward(self, fused: Tensor) -> Tensor:
        """Return shares of sum one over the branches."""
        hidden = torch.relu(self.norm(self.fc(pool_positions(fused, "avg"))))
        logits = self.select(hidden).reshape(fused.shape[0], -1, fused.shape[1], 1, 1)
        return torch.softmax(logits, 1)


@attentions.register("sk", "SKAttention", "SKConv", "SKModule", "SKBlock", "SKNet", "SelectiveKernel")
class SelectiveKernel(Attention):
    """Selective Kernel convolution: convolutions of different reach, mixed for every channel by a softmax.

    | equation | | shape |
    |---|---|---|
    | split | U_i = ReLU(BN(F_i(x))), F_i a grouped 3x3 convolution of dilation i = 1 … M | (N, C, H, W) each |
    | 1 | U = Σ U_i | (N, C, H, W) |
    | 2 | s = mean of U over positions | (N, C) |
    | 3, 4 | z = ReLU(BN(W s)), of d = max(C/r, L) values | (N, d) |
    | 5 | a = softmax over i of A_i z | (N, M, C) |
    | 6 | y = Σ a_i · U_i | (N, C, H, W) |

    It replaces features by convolved ones instead of weighing them: a convolution layer of which the attention is a
    part. The module `shares` gives a. As in the paper the branch of 5x5 is a 3x3 one of dilation 2.

    Parameters, with G groups and M branches: M·(9·C²/G + 2·C) + C·d + 2·d + M·C·d.

    In training z is normalized over the batch alone, so that a batch needs two images or more.

    In the wild: a popular copy has branches of 1x1, 3x3, 5x5 and 7x7 without groups, biases, and no norm in equation 3;
    timm's is ungrouped unless told otherwise, splits the input among the branches (`split_input=True`), and rounds d
    to a multiple of 8.

    Args:
        channels: C, the channels of the features.
        reduction: r of equation 4.
        branches: M, two or more.
        groups: G, which has to divide C; None for the published 32, or the greatest divisor of C below.
        least: L of equation 4.
        start: `paper` is as published. `identity` is ours: the output is x + strength · (y - x) with a learned
            strength that starts at 0.

    Raises:
        OptionError: If an option has no such value, or the groups do not divide the channels.

    Example:
        >>> attention = SelectiveKernel(64)
        >>> shares = attention.shares(torch.rand(2, 64, 20, 20))
        >>> shares.shape, shares.sum(1).allclose(torch.ones(()))
        (torch.Size([2, 2, 64, 1, 1]), True)
        >>> sum(parameter.numel() for parameter in attention.parameters())
        8768
    """

    paper = "Li, Wang, Hu, Yang: Selective Kernel Networks. CVPR 2019, arXiv:1903.06586"
    strength: Tensor

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        branches: int = 2,
        groups: int | None = None,
        least: int = 32,
        start: Start = "paper",
    ) -> None:
        super().__init__()
        check_start(start)
        if not isinstance(branches, int) or branches < 2:
            raise OptionError(f"among {branches!r} branches there is nothing to select", remedy="give 2 or more")
        count = group_count(channels, groups, most=32)
        self.branches = nn.ModuleList(Branch(channels, count, dilation) for dilation in range(1, branches + 1))
        self.shares = BranchShares(channels, wide_hidden_width(channels, reduction, least), branches)
        add_strength(self, start)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, C, H, W) mixed from all branches."""
        features = [branch(x) for branch in self.branches]
        shares = self.shares(reduce(torch.add, features)).unbind(1)
        mixed = reduce(torch.add, [share * feature for share, feature in zip(shares, features, strict=True)])
        return torch.lerp(x, mixed.to(x.dtype), self.strength.to(x.dtype))
