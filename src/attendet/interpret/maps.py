"""What an attention module did, as maps, strips and numbers: pure functions of a visit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from attendet.interpret.capture import AttentionPass, GateOutput

Join = Literal["product", "shuffled product", "sum", "maximum", "addition", "mixture", "none"]

NEAR_AN_END = 0.05
"""How near to an end of its range a weight counts as saturated, as a share of the range."""


def spatial(visit: AttentionPass) -> Tensor | None:
    """Return (N, H, W): the weights that vary over positions, as the mean over channels of their product.

    For CBAM that is the spatial gate itself. None where no part that joins the features varies over positions.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model, visits = create("cbam", 64), []
        >>> with capture_attention(model, visits.append):
        ...     _ = model(torch.rand(2, 64, 5, 7))
        >>> spatial(visits[0]).shape, channels(visits[0]).shape
        (torch.Size([2, 5, 7]), torch.Size([2, 64]))
    """
    varying = [weights for weights in _weights(visit) if weights.shape[2:].numel() > 1]
    if not varying:
        return None
    size = visit.before.shape
    return _product(varying).mean(1).expand(size[0], *size[2:])


def channels(visit: AttentionPass) -> Tensor | None:
    """Return (N, C): the weights that vary over channels, as the mean over positions of their product.

    For CBAM and squeeze-and-excitation that is the channel gate itself. None where no part that joins the features
    varies over channels.
    """
    varying = [weights for weights in _weights(visit) if weights.shape[1] > 1]
    return _product(varying).flatten(2).mean(2).expand(visit.before.shape[:2]) if varying else None


def magnitude(features: Tensor) -> Tensor:
    """Return (N, H, W), the mean over channels of the absolute values of features (N, C, H, W)."""
    return features.float().abs().mean(1)


def entropy(values: Tensor) -> Tensor:
    """Return (N,): the Shannon entropy of the shares values / sum of (N, C), over log C.

    1 where all channels weigh alike, 0 where one has all the weight; NaN where a value is negative or all are zero.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0]]))
        tensor([1., 0.])
    """
    values = values.float()
    shares = torch.where((values < 0).any(1, keepdim=True), torch.nan, values / values.sum(1, keepdim=True))
    return torch.special.entr(shares).sum(1) / math.log(max(values.shape[1], 2))


def saturated(part: GateOutput) -> Tensor | None:
    """Return (N,): the share of a gate's weights within 5 % of an end of its range; None for what has no range.

    Such a sigmoid hardly changes with its input any more, nor does it pass a gradient on.

    Example:
        >>> saturated(GateOutput("gate", "gate", torch.tensor([[0.01, 0.5, 0.9, 1.0]]), True, (0.0, 1.0)))
        tensor([0.5000])
    """
    if part.range is None:
        return None
    low, high = part.range
    places = (part.value.float().flatten(1) - low) / (high - low)
    return ((places < NEAR_AN_END) | (places > 1 - NEAR_AN_END)).float().mean(1)


def join(visit: AttentionPass) -> Join:
    """Return how the features after follow from those before and what the parts gave, found by computing it again.

    `product` multiplies by all weights; `shuffled product` then changes the order of channels; `sum` and `maximum` are
    of several weighted copies; `addition` adds a term. `mixture` is something else, with parts, such as convolved
    branches mixed by their shares, and `none` a module without any.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> for name in ("cbam", "scse", "shuffle", "gc", "sk", "control-identity"):
        ...     model, visits = create(name, 64).train(False), []
        ...     with capture_attention(model, visits.append):
        ...         _ = model(torch.rand(2, 64, 5, 7))
        ...     print(name, "-", join(visits[0]))
        cbam - product
        scse - sum
        shuffle - shuffled product
        gc - addition
        sk - mixture
        control-identity - none
    """
    if not visit.parts:
        return "none"
    weights = _weights(visit)
    for name, rejoin in JOINS.items():
        if weights and _is_close(rejoin(visit.before, weights), visit.after):
            return name
    addends = [part.value for part in visit.joining if part.role == "addend"]
    if addends and not weights and _is_close(reduce(torch.add, addends, visit.before), visit.after):
        return "addition"
    return "mixture"


def _multiplied(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return reduce(torch.mul, weights, before)


def _shuffled(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    # The channel shuffle of two groups: ShuffleNet's, ShuffleAttention's.
    product = _multiplied(before, weights)
    halves = 2 if product.shape[1] % 2 == 0 else 1
    return product.unflatten(1, (halves, -1)).transpose(1, 2).flatten(1, 2)


def _added(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, [before * weight for weight in weights])


def _greatest(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return reduce(torch.maximum, [before * weight for weight in weights])


JOINS: Mapping[Join, Callable[[Tensor, Sequence[Tensor]], Tensor]] = {
    "product": _multiplied,
    "shuffled product": _shuffled,
    "sum": _added,
    "maximum": _greatest,
}


def _is_close(actual: Tensor, expected: Tensor) -> bool:
    # A few roundings of the features' own precision, in whatever order the module multiplies.
    tolerance = 8 * torch.finfo(expected.dtype).eps
    largest = float(expected.abs().amax()) if expected.numel() else 0.0
    # Of what is not finite no tolerance can be said, and nothing is close to it.
    return math.isfinite(largest) and torch.allclose(
        actual.to(expected.dtype), expected, rtol=tolerance, atol=tolerance * largest
    )


def _weights(visit: AttentionPass) -> list[Tensor]:
    """Return what the features are multiplied by."""
    return [part.value for part in visit.joining if part.role in ("gate", "weights")]


def _product(values: Sequence[Tensor]) -> Tensor:
    return reduce(torch.mul, [value.float() for value in values])
