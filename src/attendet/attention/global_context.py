"""Global Context (GC): one context vector, added at every position (Cao et al., GCNet, ICCV workshops 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attendet.attention.base import (
    AdditiveTerm,
    Attention,
    SoftmaxWeights,
    Start,
    check_channels,
    check_start,
    hidden_width,
    zero_,
)
from attendet.attention.catalog import attentions
from attendet.attention.foreign_keys import accept_foreign_keys

FOREIGN_KEYS: Mapping[str, str] = {
    "conv_mask.": "context.positions.conv.",
    "channel_add_conv.0.": "context.fc1.",
    "channel_add_conv.1.": "context.norm.",
    "channel_add_conv.3.": "context.fc2.",
}


class PositionWeights(SoftmaxWeights):
    """Softmax over positions, α_j = exp(W_k x_j) / Σ_m exp(W_k x_m): (N, C, H, W) → (N, 1, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return weights that sum to 1 over all positions."""
        logits = self.conv(x)
        return torch.softmax(logits.flatten(1), 1).reshape(logits.shape)


class ContextTerm(AdditiveTerm):
    """Context vector W_v2 ReLU(LN(W_v1 Σ_j α_j x_j)): (N, C, H, W) → (N, C, 1, 1)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.positions = PositionWeights(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, channels)
        zero_(self.fc2.weight, self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the term (N, C, 1, 1) that is added to every position, in the dtype of x."""
        weights = self.positions(x).to(x.dtype)
        pooled = (x.flatten(2) @ weights.flatten(2).transpose(1, 2)).squeeze(2)
        term = self.fc2(torch.relu(self.norm(self.fc1(pooled))))
        return term[:, :, None, None].to(x.dtype)


@attentions.register(
    "gc",
    "GlobalContext",
    "GCBlock",
    "GCModule",
    "GCNet",
    "GCAttention",
    "ContextBlock",
    "ContextBlock2d",
    "GlobalContextBlock",
)
class GlobalContext(Attention):
    """Global Context block: add a term that is the same at all positions, computed from their weighted mean.

    z_i = x_i + W_v2 ReLU(LN(W_v1 Σ_j α_j x_j)), section 3.4 of the paper:

    | step | | shape |
    |---|---|---|
    | context modeling | α = softmax of W_k x over all positions; c = Σ_j α_j x_j | (N, 1, H, W), (N, C) |
    | transform | t = W_v2 ReLU(LN(W_v1 c)), through C/r channels | (N, C) |
    | fusion | z = x + t | (N, C, H, W) |

    The module has no gate, because its result is added. The submodule `context` computes the added term, and
    `context.positions` the weights α of the positions.

    Parameters, with h = C/reduction rounded down: (C + 1) + (C·h + h) + 2·h + (h·C + C), with the biases of the
    authors' code.

    Other versions: timm's module of this name multiplies by σ(t) by default, which the paper compares and finds worse.
    Most copies do not start the last layer at zero.

    State dicts with the keys of the authors' code load.

    Args:
        channels: Number of channels C of the features.
        reduction: Ratio r of the channels to the hidden channels of the transform.
        start: `paper` and `identity` are the same here: the authors initialize the last layer with zeros, so that
            nothing is added at the first step.

    Raises:
        OptionError: If an option has an invalid value, or `reduction` leaves no hidden channel.

    Example:
        >>> attention = GlobalContext(64)
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(attention(x), x)
        True
        >>> attention.context.positions(x).sum((1, 2, 3)).round(decimals=4)
        tensor([1., 1.], grad_fn=<RoundBackward1>)
        >>> sum(parameter.numel() for parameter in attention.parameters())
        653
    """

    paper = (
        "Cao, Xu, Lin, Wei, Hu: GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond. "
        "ICCV workshops 2019, arXiv:1904.11492"
    )

    def __init__(self, channels: int, reduction: float = 16, start: Start = "paper") -> None:
        super().__init__()
        check_start(start)
        channels = check_channels(channels)
        self.context = ContextTerm(channels, hidden_width(channels, reduction))
        accept_foreign_keys(self, FOREIGN_KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W) plus their context."""
        return x + self.context(x)
