"""Sums, products, and quotients that the papers' equations consist of, for features (N, C, *positions)."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Layer = tuple[Tensor, Tensor | None]
"""The weight of a linear layer or convolution, and its bias if it has one."""


class Norm(NamedTuple):
    """The tensors of a batch norm: scale γ, shift β, running mean, and running variance."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: float = 1e-5


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def hard_swish(x: Tensor) -> Tensor:
    return x * (x + 3).clamp(0, 6) / 6


def softmax(x: Tensor, dim: int) -> Tensor:
    return torch.exp(x) / torch.exp(x).sum(dim, keepdim=True)


def average(x: Tensor) -> Tensor:
    """Return the global average pool over all M positions, 1/M Σ_p x_p, (N, C)."""
    positions = x.flatten(2)
    return positions.sum(2) / positions.shape[2]


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Reshape values (N, C) or (C,) so that they broadcast over the positions of `like`."""
    return values.reshape(-1, like.shape[1], *[1] * (like.ndim - 2))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return Σ_i w_oi x_ni + b_o for every item n; the weight may have the shape of a 1x1 convolution."""
    out = (weight.flatten(1)[None] * x[:, None]).sum(2)
    return out if bias is None else out + bias


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the 1x1 convolution, `linear` at every position."""
    out = torch.einsum("oi,ni...->no...", weight.flatten(1), x)
    return out if bias is None else out + per_channel(bias, out)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, dilation: int = 1, groups: int = 1) -> Tensor:
    """Return y[o, p] = b[o] + Σ_i Σ_t w[o, i, t] x[i, p + d(t − (k − 1)/2)], where x is zero outside of the map."""
    sizes, kernel = x.shape[2:], weight.shape[2:]
    padding = [dilation * (size - 1) // 2 for size in kernel]
    padded = functional.pad(x, [side for p in reversed(padding) for side in (p, p)]).unflatten(1, (groups, -1))
    kernels = weight.unflatten(0, (groups, -1))
    out = x.new_zeros(x.shape[0], weight.shape[0], *sizes)
    for tap in itertools.product(*map(range, kernel)):
        window = [slice(dilation * t, dilation * t + size) for t, size in zip(tap, sizes, strict=True)]
        out = out + torch.einsum("goi,ngi...->ngo...", kernels[(..., *tap)], padded[(..., *window)]).flatten(1, 2)
    return out if bias is None else out + per_channel(bias, out)


def batch_norm(x: Tensor, norm: Norm, *, training: bool) -> Tensor:
    """Return γ (x − μ)/√(σ² + ε) + β with the batch statistics in training, otherwise the running statistics."""
    mean, variance = norm.running_mean, norm.running_var
    if training:
        values = x.transpose(0, 1).flatten(1)
        mean = values.sum(1) / values.shape[1]
        variance = ((values - mean[:, None]) ** 2).sum(1) / values.shape[1]
    standard = (x - per_channel(mean, x)) / torch.sqrt(per_channel(variance, x) + norm.eps)
    return per_channel(norm.weight, x) * standard + per_channel(norm.bias, x)


def standardized(values: Tensor, eps: float = 1e-5) -> Tensor:
    """Return (v − μ)/√(σ² + ε) with the mean μ and the biased variance σ² of all values."""
    mean = values.sum() / values.numel()
    return (values - mean) / torch.sqrt(((values - mean) ** 2).sum() / values.numel() + eps)


def max_and_mean(x: Tensor, dim: int) -> Tensor:
    """Return [max; mean] over one dimension as two planes (N, 2, ...) of the other dimensions."""
    return torch.stack([x.amax(dim), x.sum(dim) / x.shape[dim]], 1)
