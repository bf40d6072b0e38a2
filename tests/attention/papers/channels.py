"""Papers with one weight for every channel: SE, ECA, Global Context, and the channel half of NAM."""

import torch
from torch import Tensor

from tests.attention.papers.basics import (
    Layer,
    Norm,
    average,
    batch_norm,
    linear,
    per_channel,
    pointwise,
    relu,
    sigmoid,
    softmax,
    standardized,
)


def squeeze_excitation(u: Tensor, w1: Layer, w2: Layer) -> Tensor:
    """Hu, Shen, Sun: Squeeze-and-Excitation Networks. CVPR 2018, arXiv:1709.01507.

    Eq. 2: z_c = 1/(H·W) Σ u_c(i, j). Eq. 3: s = σ(W2 δ(W1 z)), δ the ReLU. Eq. 4: x̃_c = s_c u_c.

    The equations have no biases; the journal version reports that removing them helped in ResNets. Most code has them.
    """
    z = average(u)
    s = sigmoid(linear(relu(linear(z, *w1)), *w2))
    return per_channel(s, u) * u


def efficient_channel_attention(x: Tensor, kernel: Tensor) -> Tensor:
    """Wang et al.: ECA-Net. CVPR 2020, arXiv:1910.03151.

    Section 3.2.2: ω_c = σ(Σ_j w^j y_c^j), the k neighbors of channel c in y = GAP(x), one kernel for all channels.
    Neighbors beyond the first and last channel are zero, as in the authors' code.
    """
    y = average(x)
    offset = (kernel.numel() - 1) // 2
    omega = torch.zeros_like(y)
    for c in range(y.shape[1]):
        for j, weight in enumerate(kernel.flatten()):
            neighbor = c + j - offset
            if 0 <= neighbor < y.shape[1]:
                omega[:, c] = omega[:, c] + weight * y[:, neighbor]
    return per_channel(sigmoid(omega), x) * x


def global_context(
    x: Tensor, attention: Layer, v1: Layer, norm: tuple[Tensor, Tensor], v2: Layer, eps: float = 1e-5
) -> Tensor:
    """Cao et al.: GCNet. ICCV workshop 2019, arXiv:1904.11492, the GC block of section 3.4.

    z_i = x_i + W_v2 ReLU(LN(W_v1 Σ_j α_j x_j)), α_j = exp(W_k x_j) / Σ_m exp(W_k x_m).

    LN normalizes the values of one image. The biases follow the authors' code; the bias of W_k cancels in α.
    """
    n, c = x.shape[:2]
    alpha = softmax(pointwise(x, *attention).reshape(n, -1), 1)
    context = (x.reshape(n, c, -1) * alpha[:, None]).sum(2)
    scale, shift = norm
    normal = torch.stack([standardized(item, eps) for item in linear(context, *v1)]) * scale + shift
    return x + per_channel(linear(relu(normal), *v2), x)


def nam_channel(x: Tensor, norm: Norm, *, absolute: bool, training: bool) -> Tensor:
    """Liu et al.: NAM. NeurIPS workshop 2021, arXiv:2111.12419.

    Eq. 1: BN. Eq. 2: Mc = σ(W_γ(BN(F))), W_γ = γ_i / Σ_j γ_j. Output F ⊗ Mc, one weight for every value.

    The paper's γ has no sign. The authors' code uses |γ|, because a negative sum would invert the order of the weights.
    """
    gamma = norm.weight.abs() if absolute else norm.weight
    scale = gamma / gamma.sum()
    return x * sigmoid(per_channel(scale, x) * batch_norm(x, norm, training=training))
