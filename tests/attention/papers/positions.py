"""Papers whose weights differ by position: SimAM, scSE, Coordinate Attention, Triplet, GAM, CBAM and BAM."""

import torch
from torch import Tensor

from tests.attention.papers.basics import (
    Layer,
    Norm,
    average,
    batch_norm,
    convolve,
    hard_swish,
    linear,
    max_and_mean,
    per_channel,
    pointwise,
    relu,
    sigmoid,
)
from tests.attention.papers.channels import squeeze_excitation


def simam(x: Tensor, regularization: float, *, unbiased: bool) -> Tensor:
    """Yang et al.: SimAM. ICML 2021 (PMLR 139).

    Eq. 5: e*_t = 4(σ̂² + λ) / ((t − μ̂)² + 2σ̂² + 2λ) for every value t of a channel. Eq. 6: X̃ = σ(1/E) ⊙ X.

    The text divides σ̂² by the number of values M; the paper's listing and the authors' code divide by M − 1.
    """
    values = x.flatten(2)
    count = values.shape[2]
    mean = values.sum(2, keepdim=True) / count
    variance = ((values - mean) ** 2).sum(2, keepdim=True) / (count - 1 if unbiased else count)
    energy = 4 * (variance + regularization) / ((values - mean) ** 2 + 2 * variance + 2 * regularization)
    return x * sigmoid(1 / energy).reshape(x.shape)


def spatial_squeeze(u: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Roy, Navab, Wachinger: Concurrent Spatial and Channel Squeeze & Excitation. MICCAI 2018, arXiv:1803.02579.

    sSE: q = W_sq ⋆ U is one plane, and every position of U is multiplied by σ(q). Only the authors' code has a bias.
    """
    return u * sigmoid(pointwise(u, weight, bias))


def scse(u: Tensor, cse: tuple[Layer, Layer], sse: Layer, join: str) -> Tensor:
    """Combine cSE, an SE with reduction 2, and sSE.

    MICCAI 2018 adds them. The journal version (TMI 2018, arXiv:1808.08127) compares maximum, addition, multiplication,
    and concatenation. The authors' code uses the maximum.
    """
    channel, spatial = squeeze_excitation(u, *cse), spatial_squeeze(u, *sse)
    return {"add": channel + spatial, "max": torch.where(channel > spatial, channel, spatial)}[join]


def coordinate(x: Tensor, f1: Layer, norm: Norm, fh: Layer, fw: Layer, *, training: bool) -> Tensor:
    """Hou, Zhou, Feng: Coordinate Attention. CVPR 2021, arXiv:2103.02907.

    Eq. 4: z^h_c(h) = 1/W Σ_i x_c(h, i). Eq. 5: z^w_c(w) = 1/H Σ_j x_c(j, w). Eq. 6: f = δ(F1([z^h, z^w])).
    Eq. 7, 8: g^h = σ(F_h(f^h)), g^w = σ(F_w(f^w)). Eq. 9: y_c(i, j) = x_c(i, j) g^h_c(i) g^w_c(j).

    δ is "a non-linear activation" after a batch norm (figure 2), and the hard swish in the authors' code. The batch
    norm normalizes rows and columns together.
    """
    height, width = x.shape[2:]
    rows = x.sum(3) / width
    columns = x.sum(2) / height
    f = hard_swish(batch_norm(pointwise(torch.cat([rows, columns], 2), *f1), norm, training=training))
    gate_rows = sigmoid(pointwise(f[:, :, :height], *fh))
    gate_columns = sigmoid(pointwise(f[:, :, height:], *fw))
    return x * gate_rows[:, :, :, None] * gate_columns[:, :, None, :]


def triplet(
    x: Tensor,
    channel_width: tuple[Tensor, Norm],
    height_channel: tuple[Tensor, Norm],
    height_width: tuple[Tensor, Norm],
    *,
    training: bool,
) -> Tensor:
    """Misra et al.: Rotate to Attend: Convolutional Triplet Attention Module. WACV 2021, arXiv:2010.03045.

    Eq. 4: Z-pool = [MaxPool_0d, AvgPool_0d]. Eq. 5, 6: y = 1/3 (rotated back x̂1 σ(ψ1(x̂1*)) + the same of x̂2, and
    x σ(ψ3(x*))), ψ a k x k convolution and a batch norm; 1/3 the plain average of the branches.

    A branch pools its 0th dimension, and convolves over the other two. Rotation only selects the dimensions and their
    order, so nothing is rotated here: pooled over H the plane is (C, W), over W it is (H, C), over C it is (H, W), in
    the order of the paper's rotated tensors H x C x W and W x H x C.

    Args:
        x: Features (N, C, H, W).
        channel_width: Convolution and norm of the branch that pools over H.
        height_channel: The same for the branch that pools over W.
        height_width: The same for the branch that pools over C.
        training: Whether the norms use the batch's statistics.
    """

    def gate(planes: Tensor, branch: tuple[Tensor, Norm]) -> Tensor:
        weight, norm = branch
        return sigmoid(batch_norm(convolve(planes, weight), norm, training=training))[:, 0]

    over_h = gate(max_and_mean(x, 2), channel_width)
    over_w = gate(max_and_mean(x, 3).transpose(2, 3), height_channel)
    over_c = gate(max_and_mean(x, 1), height_width)
    first = x * over_h[:, :, None, :]
    second = x * over_w.transpose(1, 2)[:, :, :, None]
    return (first + second + x * over_c[:, None]) / 3


def gam(
    f1: Tensor, mlp: tuple[Layer, Layer], convolutions: tuple[Layer, Layer], norms: tuple[Norm, Norm], *, training: bool
) -> Tensor:
    """Liu, Shao, Hoffmann: Global attention mechanism. 2021, arXiv:2112.05561.

    Eq. 1: F2 = Mc(F1) ⊗ F1. Eq. 2: F3 = Ms(F2) ⊗ F2.

    Mc (figure 2): an MLP C → C/r → C at every position ("3D permutation"), then σ. Ms (figure 3): two 7x7 convolutions
    C → C/r → C without pooling, then σ. The equations do not specify the rest. In the published code, the layers have
    biases, a batch norm follows each convolution, and a ReLU is between the layers.
    """
    hidden = relu(pointwise(f1, *mlp[0]))
    f2 = f1 * sigmoid(pointwise(hidden, *mlp[1]))
    hidden = relu(batch_norm(convolve(f2, *convolutions[0]), norms[0], training=training))
    return f2 * sigmoid(batch_norm(convolve(hidden, *convolutions[1]), norms[1], training=training))


def cbam(
    f: Tensor,
    w0: Layer,
    w1: Layer,
    f7x7: Layer,
    norm: Norm | None = None,
    *,
    mean_first: bool = False,
    training: bool,
) -> Tensor:
    """Woo et al.: CBAM. ECCV 2018, arXiv:1807.06521, over any number of dimensions.

    Eq. 1: F' = Mc(F) ⊗ F, F'' = Ms(F') ⊗ F'. Eq. 2: Mc = σ(W1(W0(AvgPool)) + W1(W0(MaxPool))), a ReLU after W0.
    Eq. 3: Ms = σ(f([AvgPool; MaxPool])), pools over channels. The order of the two planes depends on
    the weights: the equation has the mean first. The authors' code has the maximum first, and a batch norm after f.
    """
    mean, maximum = (linear(relu(linear(pool, *w0)), *w1) for pool in (average(f), f.flatten(2).amax(2)))
    mc = sigmoid(mean + maximum)
    gated = f * per_channel(mc, f)
    planes = max_and_mean(gated, 1)
    plane = convolve(planes.flip(1) if mean_first else planes, *f7x7)
    ms = plane if norm is None else batch_norm(plane, norm, training=training)
    return gated * sigmoid(ms)


def bam(
    f: Tensor,
    channel: tuple[Layer, Norm, Layer],
    spatial: tuple[tuple[Layer, Norm], tuple[Layer, Norm], tuple[Layer, Norm], Layer],
    dilation: int,
    *,
    product: bool,
    training: bool,
) -> Tensor:
    """Park et al.: BAM. BMVC 2018, arXiv:1807.06514, over any number of dimensions.

    Eq. 1: F' = F + F ⊗ M(F). Eq. 2: M = σ(Mc + Ms). Eq. 3: Mc = BN(W1(W0 AvgPool + b0) + b1).
    Eq. 4: Ms = BN(f3(f2(f1(f0)))), 1x1, two dilated 3x3, 1x1.

    The authors' code multiplies Mc · Ms, and has the norm and a ReLU after every layer of a branch except the last.
    """
    first, norm, last = channel
    mc = linear(relu(batch_norm(linear(average(f), *first), norm, training=training)), *last)
    ms = f
    for (layer, layer_norm), d in zip(spatial[:3], (1, dilation, dilation), strict=True):
        ms = relu(batch_norm(convolve(ms, *layer, dilation=d), layer_norm, training=training))
    ms = convolve(ms, *spatial[3])
    mc = per_channel(mc, f)
    return f + f * sigmoid(mc * ms if product else mc + ms)
