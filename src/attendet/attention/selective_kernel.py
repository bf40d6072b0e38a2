"""Selective Kernel (SK): a softmax per channel over convolutions of different dilation (Li et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.base import (
    Attention,
    SoftmaxWeights,
    Start,
    check_channels,
    check_start,
    group_count,
    hidden_width_at_least,
    odd_kernel,
    register_strength,
)
from attendet.attention.catalog import attentions
from attendet.attention.fx_tracing import TracedAsOne
from attendet.attention.norms import normalize
from attendet.errors import OptionError, unknown_name
from attendet.ops.pooling import pool_positions
from attendet.utils.option_values import as_integer
from attendet.utils.text import short_repr

Variant = Literal["paper", "biased"]
_VARIANTS: tuple[Variant, ...] = ("paper", "biased")


class KernelBranch(TracedAsOne):
    """Grouped, dilated convolution, batch norm, and ReLU: (N, C, H, W) → the same shape."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, groups: int, bias: bool) -> None:
        super().__init__()
        padding = kernel_size // 2 * dilation
        self.conv = nn.Conv2d(
            channels, channels, kernel_size, padding=padding, dilation=dilation, groups=groups, bias=bias
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) of the branch."""
        return torch.relu(normalize(self.norm, self.conv(x)))


class BranchWeights(SoftmaxWeights):
    """Softmax over M branches of A z, z = ReLU(BN(W s)), s the mean over positions: (N, C, H, W) → (N, M, C, 1, 1).

    In the variant `biased` both layers have biases, and z = W s + b.
    """

    def __init__(self, channels: int, hidden: int, branches: int, variant: Variant) -> None:
        super().__init__()
        biased = variant == "biased"
        self.fc = nn.Linear(channels, hidden, bias=biased)
        self.norm = nn.Identity() if biased else nn.BatchNorm1d(hidden)
        self.activation = nn.Identity() if biased else nn.ReLU()
        self.select = nn.Linear(hidden, branches * channels, bias=biased)

    def forward(self, fused: Tensor) -> Tensor:
        """Return weights that sum to 1 over the branches, computed from the sum of all branches (N, C, H, W)."""
        hidden = self.activation(normalize(self.norm, self.fc(pool_positions(fused, "avg"))))
        logits = self.select(hidden).unflatten(1, (-1, fused.shape[1]))[..., None, None]
        return torch.softmax(logits, 1)


@attentions.register("sk", "SKAttention", "SKConv", "SKModule", "SKBlock", "SKNet", "SelectiveKernel")
class SelectiveKernel(Attention):
    """Selective Kernel convolution: mix convolutions of different dilation by a softmax per channel.

    | equation | | shape |
    |---|---|---|
    | split | U_i = ReLU(BN(F_i(x))), F_i a grouped 3x3 convolution of dilation i = 1 … M | (N, C, H, W) each |
    | 1 | U = Σ U_i | (N, C, H, W) |
    | 2 | s = mean of U over positions | (N, C) |
    | 3, 4 | z = ReLU(BN(W s)), with d = max(C/r, L) values | (N, d) |
    | 5 | a = softmax over i of A_i z | (N, M, C) |
    | 6 | y = Σ a_i · U_i | (N, C, H, W) |

    The module replaces the features by convolved ones instead of weighing them; it is a convolution layer that contains
    attention. The submodule `branch_weights` computes a. As in the paper, the 5x5 branch is a 3x3 convolution of
    dilation 2.

    The variant `biased` is that of a popular copy: all layers have biases, and z = W s + b without norm and ReLU. That
    copy has branches of 1x1, 3x3, 5x5, and 7x7 without groups: `SelectiveKernel(512, kernel_sizes=(1, 3, 5, 7),
    groups=1, variant="biased")` has its 22,110,240 parameters.

    Parameters, with G groups and M branches: M·(9·C²/G + 2·C) + C·d + 2·d + M·C·d. With kernel sizes k_i, Σ k_i² takes
    the place of 9·M. `biased` has (Σ k_i²·C²/G + 3·M·C) + (C·d + d) + M·(C·d + C).

    During training z is normalized over the images of a batch. With a single image per batch, the running statistics
    are used instead, and keep their values.

    Other versions: timm's module is ungrouped by default, splits the input among the branches (`split_input=True`), and
    rounds d to a multiple of 8.

    Args:
        channels: Number of channels C of the features.
        reduction: r of equation 4.
        branches: Number of branches M, at least 2.
        kernel_sizes: Odd kernel sizes of the branches, without dilation, instead of `branches`; None for the published
            3x3 kernels with dilation 1 to M.
        groups: Number of groups G, a divisor of C; None for the published 32, or the largest smaller divisor.
        min_width: Minimum number of hidden channels, L of equation 4.
        variant: `paper` or `biased`, see above.
        start: `paper` for the published module. `identity` (our addition) outputs x + strength · (y - x) with a learned
            strength that is initially 0.

    Raises:
        OptionError: If an option has an invalid value, or `groups` does not divide the channels.

    Example:
        >>> attention = SelectiveKernel(64)
        >>> weights = attention.branch_weights(torch.rand(2, 64, 20, 20))
        >>> weights.shape, weights.sum(1).allclose(torch.ones(()))
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
        min_width: int = 32,
        start: Start = "paper",
        *,
        kernel_sizes: Sequence[int] | None = None,
        variant: Variant = "paper",
    ) -> None:
        super().__init__()
        check_start(start)
        if variant not in _VARIANTS:
            raise unknown_name("variant of SK", variant, _VARIANTS)
        channels = check_channels(channels)
        kernels = _kernels_and_dilations(branches, kernel_sizes)
        count = group_count(channels, groups, max_groups=32)
        self.branches = nn.ModuleList(
            KernelBranch(channels, size, dilation, count, bias=variant == "biased") for size, dilation in kernels
        )
        hidden = hidden_width_at_least(channels, reduction, min_width)
        self.branch_weights = BranchWeights(channels, hidden, len(kernels), variant)
        register_strength(self, start)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) mixed from all branches."""
        features = [branch(x) for branch in self.branches]
        weights = self.branch_weights(reduce(torch.add, features))
        mixed = reduce(torch.add, [weights[:, index] * feature for index, feature in enumerate(features)])
        strength = self.strength.type_as(x)
        # Exactly x for 0 and exactly the mixed features for 1, as `torch.lerp`, which the converter of ncnn does not
        # know. `1 - strength` imports a slow part of torch when shapes are computed without data.
        return x * (strength.new_ones(()) - strength) + mixed.to(x.dtype) * strength


def _kernels_and_dilations(branches: int, kernel_sizes: Sequence[int] | None) -> list[tuple[int, int]]:
    if kernel_sizes is None:
        count = as_integer(branches)
        if count is None or count < 2:
            raise OptionError(f"`branches` must be an integer of at least 2, got {short_repr(branches)}")
        return [(3, dilation) for dilation in range(1, count + 1)]
    if not isinstance(kernel_sizes, Sequence) or isinstance(kernel_sizes, str) or len(kernel_sizes) < 2:
        raise OptionError(
            f"`kernel_sizes` must be a list of at least 2 kernel sizes, got {short_repr(kernel_sizes)}",
            remedy="use for example [3, 5]",
        )
    return [(odd_kernel(size), 1) for size in kernel_sizes]
