"""Maps and numbers of one call of an attention module."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from attendet.interpret.capture import AttentionPass, GateOutput

Join = Literal["product", "shuffled product", "sum", "maximum", "addition", "mixture", "none"]

SATURATION_MARGIN = 0.05
"""A weight is saturated if it is closer than this to an end of its range, as a fraction of the range."""


def spatial_weights(call: AttentionPass) -> Tensor | None:
    """Return (N, H, W): the product of the weights that vary over positions, averaged over channels.

    For CBAM this is the spatial gate itself. None if no weights that multiply features vary over positions.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model, calls = create("cbam", 64), []
        >>> with capture_attention(model, calls.append):
        ...     _ = model(torch.rand(2, 64, 5, 7))
        >>> spatial_weights(calls[0]).shape, channel_weights(calls[0]).shape
        (torch.Size([2, 5, 7]), torch.Size([2, 64]))
    """
    varying = [weights for weights in _multipliers(call) if weights.shape[2:].numel() > 1]
    if not varying:
        return None
    size = call.before.shape
    return _product(varying).mean(1).expand(size[0], *size[2:])


def channel_weights(call: AttentionPass) -> Tensor | None:
    """Return (N, C): the product of the weights that vary over channels, averaged over positions.

    For CBAM and squeeze-and-excitation this is the channel gate itself. None if no weights that multiply features vary
    over channels.
    """
    varying = [weights for weights in _multipliers(call) if weights.shape[1] > 1]
    return _product(varying).flatten(2).mean(2).expand(call.before.shape[:2]) if varying else None


def magnitude(features: Tensor) -> Tensor:
    """Return (N, H, W): the absolute values of features (N, C, H, W), averaged over channels."""
    return features.float().abs().mean(1)


def entropy(values: Tensor) -> Tensor:
    """Return (N,): the Shannon entropy of each row of (N, C), as a fraction of the maximum log C.

    A row is divided by its sum first. The entropy is 1 if all values are equal, 0 if all but one are 0, and NaN if a
    value is negative or all are 0.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0]]))
        tensor([1., 0.])
    """
    values = values.float()
    fractions = torch.where((values < 0).any(1, keepdim=True), torch.nan, values / values.sum(1, keepdim=True))
    return torch.special.entr(fractions).sum(1) / math.log(max(values.shape[1], 2))


def saturated_fraction(part: GateOutput) -> Tensor | None:
    """Return (N,): the fraction of a gate's weights within 5 % of an end of its range; None without a range.

    A saturated sigmoid hardly changes with its input, and passes hardly any gradient on.

    Example:
        >>> saturated_fraction(GateOutput("gate", "gate", torch.tensor([[0.01, 0.5, 0.9, 1.0]]), True, (0.0, 1.0)))
        tensor([0.5000])
    """
    if part.range is None:
        return None
    low, high = part.range
    positions = (part.value.float().flatten(1) - low) / (high - low)
    return ((positions < SATURATION_MARGIN) | (positions > 1 - SATURATION_MARGIN)).float().mean(1)


def find_join(call: AttentionPass) -> Join:
    """Return how the output features follow from the input features and the parts, by trying each way.

    `product`: the features times all weights. `shuffled product`: the same, with the channels shuffled. `sum` and
    `maximum`: of the features times each weights. `addition`: the features plus a term. `mixture`: another function of
    parts, such as convolved branches that are mixed by a softmax. `none`: a module without parts.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> for name in ("cbam", "scse", "shuffle", "gc", "sk", "control-identity"):
        ...     model, calls = create(name, 64).train(False), []
        ...     with capture_attention(model, calls.append):
        ...         _ = model(torch.rand(2, 64, 5, 7))
        ...     print(name, "-", find_join(calls[0]))
        cbam - product
        scse - sum
        shuffle - shuffled product
        gc - addition
        sk - mixture
        control-identity - none
    """
    if not call.parts:
        return "none"
    weights = _multipliers(call)
    for name, apply in _JOINS.items():
        if weights and _is_close(apply(call.before, weights), call.after):
            return name
    terms = [part.value for part in call.applied_parts if part.role == "term"]
    if terms and not weights and _is_close(reduce(torch.add, terms, call.before), call.after):
        return "addition"
    return "mixture"


def _multiply(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return reduce(torch.mul, weights, before)


def _multiply_and_shuffle(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    # The channel shuffle of two groups, as in ShuffleNet and ShuffleAttention.
    product = _multiply(before, weights)
    groups = 2 if product.shape[1] % 2 == 0 else 1
    return product.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def _sum(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, [before * weight for weight in weights])


def _maximum(before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return reduce(torch.maximum, [before * weight for weight in weights])


_JOINS: Mapping[Join, Callable[[Tensor, Sequence[Tensor]], Tensor]] = {
    "product": _multiply,
    "shuffled product": _multiply_and_shuffle,
    "sum": _sum,
    "maximum": _maximum,
}


def _is_close(actual: Tensor, expected: Tensor) -> bool:
    # A module may multiply in another order, which costs a few rounding errors of the features' dtype.
    tolerance = 8 * torch.finfo(expected.dtype).eps
    largest = float(expected.abs().amax()) if expected.numel() else 0.0
    # Infinite features have no tolerance, and nothing is close to them.
    return math.isfinite(largest) and torch.allclose(
        actual.to(expected.dtype), expected, rtol=tolerance, atol=tolerance * largest
    )


def _multipliers(call: AttentionPass) -> list[Tensor]:
    """Return the weights that multiply the features."""
    return [part.value for part in call.applied_parts if part.role in ("gate", "weights")]


def _product(values: Sequence[Tensor]) -> Tensor:
    return reduce(torch.mul, [value.float() for value in values])
