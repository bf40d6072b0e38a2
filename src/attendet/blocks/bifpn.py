"""Weighted fusion of feature maps, as in the BiFPN of EfficientDet (Tan et al., CVPR 2020, arXiv:1911.09070)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv
from attendet.blocks.wiring import BlockRequest, ModuleFactory, ModuleSpec, WiringRule, split_options
from attendet.errors import OptionError

_EPSILON = 1e-4


class FusionWeights(nn.Module):
    """Positive weights of feature maps, relu(w_i) / (sum_j relu(w_j) + 1e-4): fast normalized fusion (section 3.3).

    Args:
        count: Number of feature maps, at least 1.

    Example:
        >>> FusionWeights(2)([torch.ones(1), torch.ones(1)])[0]
        tensor([0.5000], grad_fn=<MulBackward0>)
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(count))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the weighted maps, each of its own shape."""
        weights = self.w.relu()
        weights = (weights / (weights.sum() + _EPSILON)).to(maps[0].dtype)
        return [weight * features for weight, features in zip(weights, maps, strict=True)]


def _specify_concat(make: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    return ModuleSpec(partial(make, len(request.channels)), request.args, joins=True)


def _specify_sum(make: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(in, out, number of maps)`. The last number of the row is the output width, which is scaled."""
    positional, named = split_options(request.args)
    widths = [arg for arg in positional if isinstance(arg, int) and not isinstance(arg, bool)]
    if len(widths) != len(positional) or set(named) - {"norm"}:
        raise OptionError(
            f"the arguments must be widths and the option `norm`, got {list(request.args)}",
            remedy="write it like [256, 256] or [256, {norm: true}]",
        )
    if len(set(request.channels)) != 1:
        raise OptionError(f"the inputs must have the same number of channels, got {list(request.channels)}")
    width = request.scale(widths[-1]) if widths else request.channels[0]
    arguments = (request.channels[0], width, len(request.channels))
    return ModuleSpec(partial(make, *arguments, **named), arguments, joins=True)


@block(WiringRule("concat", _specify_concat), "BiFPN_Concat", "BiFPN_Concat2", "BiFPN_Concat3", "Concat_BiFPN")
class WeightedConcat(nn.Module):
    """Concatenate weighted feature maps along the channels: [(N, C_i, H, W)] → (N, sum C_i, H, W).

    Args:
        count: Number of feature maps.

    Example:
        >>> WeightedConcat(2)([torch.rand(1, 8, 4, 4), torch.rand(1, 16, 4, 4)]).shape
        torch.Size([1, 24, 4, 4])
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weights = FusionWeights(count)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features (N, sum C_i, H, W)."""
        return torch.cat(self.weights(maps), dim=1)


@block(WiringRule("sum", _specify_sum), "BiFPN_Add", "BiFPN_Add2", "BiFPN_Add3")
class WeightedSum(nn.Module):
    """Sum of weighted feature maps, SiLU, and a 1x1 convolution: [(N, c1, H, W)] → (N, c2, H, W).

    Args:
        c1: Number of channels of each input.
        c2: Number of output channels.
        count: Number of feature maps.
        norm: Whether the convolution is a `Conv` with batch norm and activation, instead of one with a bias.

    Example:
        >>> WeightedSum(8, 16, 2)([torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4)]).shape
        torch.Size([1, 16, 4, 4])
    """

    def __init__(self, c1: int, c2: int, count: int, norm: bool = False) -> None:
        super().__init__()
        self.weights = FusionWeights(count)
        self.act = nn.SiLU()
        self.conv = Conv(c1, c2, 1) if norm else nn.Conv2d(c1, c2, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features (N, c2, H, W)."""
        first, *others = self.weights(maps)
        return self.conv(self.act(sum(others, start=first)))
