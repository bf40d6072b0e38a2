"""Papers that split channels into groups, or choose between kernels: Shuffle Attention, EMA, SK, LSK."""

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
    per_channel,
    pointwise,
    relu,
    sigmoid,
    softmax,
    standardized,
)


def shuffle_attention(
    x: Tensor, groups: int, channel: tuple[Tensor, Tensor], norm: tuple[Tensor, Tensor], spatial: tuple[Tensor, Tensor]
) -> Tensor:
    """Zhang, Yang: SA-Net: Shuffle Attention. ICASSP 2021, arXiv:2102.00240.

    X = [X_1 .. X_G], X_k = [X_k1, X_k2], each C/2G channels. Eq. 1, 2: X'_k1 = σ(W1 s + b1) X_k1, s = GAP(X_k1).
    Eq. 3: X'_k2 = σ(W2 GN(X_k2) + b2) X_k2. W and b are one number for every one of the C/2G channels, shared by all
    groups. The parts are concatenated, and a channel shuffle with two groups interleaves the two halves.

    The paper does not state how many channels GN normalizes together; in the authors' code it is one.
    """
    half = x.shape[1] // (2 * groups)
    parts = []
    for k in range(groups):
        first, second = x[:, 2 * k * half : (2 * k + 1) * half], x[:, (2 * k + 1) * half : (2 * k + 2) * half]
        for c in range(half):
            s = average(first)[:, c, None, None]
            parts.append(sigmoid(channel[0].flatten()[c] * s + channel[1].flatten()[c]) * first[:, c])
        for c in range(half):
            normal = torch.stack([standardized(plane) for plane in second[:, c]]) * norm[0][c] + norm[1][c]
            parts.append(sigmoid(spatial[0].flatten()[c] * normal + spatial[1].flatten()[c]) * second[:, c])
    count = len(parts)
    return torch.stack([parts[i // 2 + (i % 2) * count // 2] for i in range(count)], 1)


def efficient_multi_scale(x: Tensor, groups: int, shared: Layer, norm: tuple[Tensor, Tensor], local: Layer) -> Tensor:
    """Ouyang et al.: Efficient Multi-Scale Attention Module with Cross-Spatial Learning. ICASSP 2023, arXiv:2305.13563.

    Every group of C/G channels is processed with the same weights. The 1x1 branch applies one 1x1 convolution and σ to
    the means of the rows and of the columns, multiplies the group by both gates, and normalizes the result (group
    norm). The 3x3 branch is a 3x3 convolution of the group. Cross-spatial learning: the softmax over channels of each
    branch's global mean weighs the other branch's maps, and σ of the sum of the two resulting planes weighs the group's
    positions.

    The paper does not state how many channels the group norm normalizes together; in the authors' code it is one.
    """
    width = x.shape[1] // groups
    outputs = []
    for g in range(groups):
        group = x[:, g * width : (g + 1) * width]
        rows = sigmoid(pointwise(group.sum(3) / group.shape[3], *shared))
        columns = sigmoid(pointwise(group.sum(2) / group.shape[2], *shared))
        gated = group * rows[:, :, :, None] * columns[:, :, None, :]
        normal = torch.stack([torch.stack([standardized(plane) for plane in item]) for item in gated])
        one = normal * per_channel(norm[0], normal) + per_channel(norm[1], normal)
        three = convolve(group, *local)
        weights = torch.zeros_like(group[:, 0])
        for selecting, selected in ((one, three), (three, one)):
            selection = softmax(average(selecting), 1)
            for c in range(width):
                weights = weights + selection[:, c, None, None] * selected[:, c]
        outputs.append(group * sigmoid(weights)[:, None])
    return torch.cat(outputs, 1)


def selective_kernel(
    x: Tensor,
    branches: Sequence[tuple[Tensor, Norm, int]],
    groups: int,
    fuse: Tensor,
    fuse_norm: Norm,
    select: Sequence[Tensor],
    *,
    training: bool,
) -> Tensor:
    """Li et al.: Selective Kernel Networks. CVPR 2019, arXiv:1903.06586.

    Split: every branch is a grouped convolution, a batch norm and a ReLU; the "5x5" is a 3x3 of dilation 2. Eq. 1:
    U = Σ U_m. Eq. 2: s_c = 1/(H·W) Σ U_c(i, j). Eq. 3: z = δ(B(W s)), B a batch norm, δ the ReLU, z of
    d = max(C/r, L) numbers (eq. 4). Eq. 5: a_c = e^{A_c z} / (e^{A_c z} + e^{B_c z}). Eq. 6: V_c = Σ_m a_mc U_mc.

    Args:
        x: Features (N, C, H, W).
        branches: Weight, norm and dilation of every branch.
        groups: Groups of their convolutions.
        fuse: W.
        fuse_norm: B.
        select: A, B, ..., one matrix (C, d) for every branch.
        training: Whether the norms use the batch's statistics.
    """
    maps = [
        relu(batch_norm(convolve(x, weight, dilation=dilation, groups=groups), norm, training=training))
        for weight, norm, dilation in branches
    ]
    s = average(sum(maps[1:], maps[0]))
    z = relu(batch_norm(linear(s, fuse), fuse_norm, training=training))
    exponentials = [torch.exp(linear(z, matrix)) for matrix in select]
    total = sum(exponentials[1:], exponentials[0])
    weighted = [per_channel(e / total, x) * u for e, u in zip(exponentials, maps, strict=True)]
    return sum(weighted[1:], weighted[0])


def large_selective_kernel(
    x: Tensor,
    depthwise: Sequence[tuple[Tensor, Tensor | None, int]],
    mixing: Sequence[Layer],
    squeeze: Layer,
    restore: Layer,
) -> Tensor:
    """Li et al.: Large Selective Kernel Network for Remote Sensing Object Detection. ICCV 2023, arXiv:2303.09030.

    Eq. 2: U_0 = X, U_{i+1} = F^dw_i(U_i), depthwise, one after the other. Eq. 3: Ũ_i = F^1x1_i(U_i). Eq. 4, 5: the
    mean and the maximum over the channels of all Ũ. Eq. 6: a convolution from the two planes to one for each kernel.
    Eq. 7: its σ. Eq. 8: S = F(Σ SA_i · Ũ_i). Eq. 9: Y = X · S.

    In the authors' code the kernels are 5 and 7 with dilation 3, F^1x1 halves the channels, F restores them, the
    mean is the first plane, and every convolution has a bias.
    """
    u, mixed = x, []
    for (weight, bias, dilation), mix in zip(depthwise, mixing, strict=True):
        u = convolve(u, weight, bias, dilation=dilation, groups=x.shape[1])
        mixed.append(pointwise(u, *mix))
    stacked = torch.cat(mixed, 1)
    planes = torch.stack([stacked.sum(1) / stacked.shape[1], stacked.amax(1)], 1)
    gates = sigmoid(convolve(planes, *squeeze))
    weighted = [gates[:, i : i + 1] * mixed[i] for i in range(len(mixed))]
    return x * pointwise(sum(weighted[1:], weighted[0]), *restore)
