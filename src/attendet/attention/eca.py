"""Efficient Channel Attention (ECA): channel weights from neighboring channels (Wang et al., CVPR 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn

from attendet.attention.base import Attention, Gate, Start, check_channels, odd_kernel, zero_
from attendet.attention.catalog import attentions
from attendet.attention.dims import Dims, check_dims, check_features, zero_padding
from attendet.attention.foreign_keys import accept_foreign_keys
from attendet.errors import OptionError
from attendet.ops.pooling import pool_positions
from attendet.utils.option_values import as_number, positive_number
from attendet.utils.text import short_repr

FOREIGN_KEYS: Mapping[str, str] = {"conv.": "gate.conv."}


def adaptive_kernel(channels: int, gamma: float = 2, beta: float = 1) -> int:
    """Return the kernel size k for a number of channels, the odd number nearest to |log2(C)/γ + β/γ|.

    If two odd numbers are equally near, it is the larger one, as in the authors' code. See section 3.2.3 of the paper.

    Raises:
        OptionError: If `channels` or `gamma` is not positive.

    Example:
        >>> [adaptive_kernel(channels) for channels in (16, 64, 128, 256, 512, 2048)]
        [3, 3, 5, 5, 5, 7]
    """
    channels = check_channels(channels)
    gamma = positive_number("gamma", gamma, remedy="the published value is 2")
    offset = as_number(beta)
    if offset is None:
        raise OptionError(f"`beta` must be a finite number, got {short_repr(beta)}", remedy="the published value is 1")
    return 2 * int(abs((math.log2(channels) + offset) / gamma) / 2) + 1


class NeighborGate(Gate):
    """Gate σ(1d convolution over the channel means): (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, kernel_size: int, start: Start, dims: Dims) -> None:
        super().__init__(start)
        self.dims: Dims = check_dims(dims)
        size = odd_kernel(kernel_size)
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        if start == "identity":
            zero_(self.conv.weight)

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (N, C, 1, 1)."""
        check_features(x, self.dims, mask)
        logits = self.conv(pool_positions(x, "avg", mask).unsqueeze(1)).squeeze(1)
        return logits.reshape(*logits.shape, *[1] * self.dims)


@attentions.register("eca", "ECALayer", "ECAModule", "ECABlock", "ECAAttention", "ECANet", "EfficientChannelAttention")
class ECA(Attention):
    """Efficient Channel Attention: ω = σ(C1D_k(z)), one weight per channel from the means of k neighboring channels.

    | section | | shape |
    |---|---|---|
    | | z = mean of x over positions | (N, C) |
    | 3.2.2 | ω = σ(C1D_k(z)), one kernel of k taps for all channels, zeros beyond the first and last | (N, C) |
    | 3.2.3 | k = the odd number nearest to abs(log2(C)/γ + β/γ) | |
    | | y = ω · x | (N, C, H, W) |

    Parameters: k.

    Other versions: most copies for YOLO use k = 3 for any number of channels. timm uses at least 3, which differs for
    C < 8. The paper does not specify the rounding between two odd numbers; this is the larger one, as in the
    authors' code.

    State dicts of the authors' module and of timm's module load.

    Args:
        channels: Number of channels C of the features; determines the kernel size by default.
        kernel_size: Kernel size k, odd; None for the formula of section 3.2.3.
        gamma: γ of the formula.
        beta: β of the formula (b in the paper).
        start: `paper` for the published initialization, whose gates are about 0.5. `identity` (our addition) for gates
            that are exactly 1 at the first step and have the range (0, 2).
        dims: Number of position axes: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for volumes
            (N, C, D, H, W).

    Raises:
        OptionError: If an option has an invalid value, such as an even kernel size.

    Example:
        >>> import torch
        >>> attention = ECA(256)
        >>> attention.gate.conv.kernel_size
        (5,)
        >>> attention(torch.rand(2, 256, 20, 20)).shape
        torch.Size([2, 256, 20, 20])
    """

    paper = (
        "Wang, Wu, Zhu, Li, Zuo, Hu: ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. "
        "CVPR 2020, arXiv:1910.03151"
    )

    def __init__(
        self,
        channels: int,
        kernel_size: int | None = None,
        gamma: float = 2,
        beta: float = 1,
        start: Start = "paper",
        *,
        dims: Dims = 2,
    ) -> None:
        super().__init__()
        channels = check_channels(channels)
        size = adaptive_kernel(channels, gamma, beta) if kernel_size is None else kernel_size
        self.gate = NeighborGate(size, start, dims)
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features multiplied by the weights of their channels.

        Args:
            x: Features (N, C, H, W), or the shape for `dims`.
            mask: Bool mask (N, H, W), or the shape for `dims`: True at real positions, False at padding; None if all
                positions are real. Padding does not change the weights, and the output is zero there.
        """
        x = zero_padding(x, mask)
        return x * self.gate(x, mask)
