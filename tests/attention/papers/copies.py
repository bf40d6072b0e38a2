"""Modules that packages and forks publish under a paper's name, although they compute something else."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.attention.papers.basics import (
    Layer,
    Norm,
    average,
    batch_norm,
    convolve,
    linear,
    max_and_mean,
    per_channel,
    pointwise,
    relu,
    sigmoid,
)


def ultralytics_cbam(f: Tensor, full: Layer, kernel: Tensor) -> Tensor:
    """Return F'' for F' = σ(W z + b) F, z = mean over positions, F'' = σ(f([mean; max of F' over channels])) F'."""
    gated = f * per_channel(sigmoid(linear(average(f), *full)), f)
    return gated * sigmoid(convolve(max_and_mean(gated, 1).flip(1), kernel))


def selective_kernel_of_copies(
    x: Tensor, branches: Sequence[tuple[Layer, Norm]], groups: int, fuse: Layer, select: Sequence[Layer], training: bool
) -> Tensor:
    """Return Σ a_m U_m, U_m = ReLU(BN(convolution)), a = softmax over m of A_m z + b_m, z = W mean(Σ U_m) + b."""
    maps = [relu(batch_norm(convolve(x, *layer, groups=groups), norm, training=training)) for layer, norm in branches]
    z = linear(average(sum(maps[1:], maps[0])), *fuse)
    exponentials = [torch.exp(linear(z, *matrix)) for matrix in select]
    total = sum(exponentials[1:], exponentials[0])
    weighted = [per_channel(e / total, x) * u for e, u in zip(exponentials, maps, strict=True)]
    return sum(weighted[1:], weighted[0])


def grouped_gam(
    f1: Tensor,
    mlp: tuple[Layer, Layer],
    convolutions: tuple[Layer, Layer],
    norms: tuple[Norm, Norm],
    groups: int,
    training: bool,
) -> Tensor:
    """Return GAM whose 7x7 convolutions have groups, and whose spatial weights change their channels.

    The shuffle of ShuffleNet writes the channels as a matrix, one row for each group, and reads it column by column.
    """
    f2 = f1 * sigmoid(pointwise(relu(pointwise(f1, *mlp[0])), *mlp[1]))
    hidden = relu(batch_norm(convolve(f2, *convolutions[0], groups=groups), norms[0], training=training))
    weights = sigmoid(batch_norm(convolve(hidden, *convolutions[1], groups=groups), norms[1], training=training))
    width = f1.shape[1] // groups
    order = [group * width + channel for channel in range(width) for group in range(groups)]
    return f2 * weights[:, order]
