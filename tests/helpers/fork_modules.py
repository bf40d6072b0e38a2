"""Attention modules as forks of YOLOv5 have them: their tensors under their names, computed by the papers' formulas."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Formula: TypeAlias = Callable[[Mapping[str, Tensor], Tensor], Tensor]


class Holder(nn.Module):
    """A module that only holds tensors and other holders."""


class ForkModule(Holder):
    """A module with given tensors, at the ends of their dotted names, and a formula.

    Args:
        tensors: The tensors by key. Keys of statistics of a batch norm become buffers.
        formula: Computes the output from the tensors by key and the input.
    """

    def __init__(self, tensors: Mapping[str, Tensor], formula: Formula) -> None:
        super().__init__()
        self.formula = formula
        for key, value in tensors.items():
            *path, leaf = key.split(".")
            at: nn.Module = self
            for part in path:
                if not hasattr(at, part):
                    at.add_module(part, Holder())
                at = getattr(at, part)
            if leaf.startswith(("running", "num")):
                at.register_buffer(leaf, value.clone())
            else:
                at.register_parameter(leaf, nn.Parameter(value.clone(), requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(self.state_dict(), x)


def linear(tensors: Mapping[str, Tensor], layer: str, x: Tensor) -> Tensor:
    """Apply a linear layer, also one that is stored as a 1x1 convolution, to (N, C)."""
    weight = tensors[f"{layer}.weight"]
    return functional.linear(x, weight.reshape(len(weight), -1), tensors.get(f"{layer}.bias"))


def norm(tensors: Mapping[str, Tensor], layer: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    """Apply a batch norm in evaluation mode. Without a norm, return the input."""
    if f"{layer}.weight" not in tensors:
        return x
    mean, variance, weight, bias = (
        tensors[f"{layer}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(x, mean, variance, weight, bias, eps=eps)


def norm_tensors(layer: str, channels: int) -> dict[str, Tensor]:
    return {
        f"{layer}.weight": torch.rand(channels) + 0.5,
        f"{layer}.bias": torch.randn(channels),
        f"{layer}.running_mean": torch.randn(channels) / 5,
        f"{layer}.running_var": torch.rand(channels) + 0.5,
        f"{layer}.num_batches_tracked": torch.tensor(3),
    }


def cbam(
    channels: int,
    mlp: tuple[str, str],
    conv: str,
    *,
    bn: str = "",
    maximum_first: bool = False,
    biases: bool = False,
    conv_bias: bool = False,
    as_convolutions: bool = True,
    kernel_size: int = 7,
    reduction: int = 16,
) -> ForkModule:
    """Return CBAM, equations 2 and 3 of the paper, with random weights under a fork's names.

    Args:
        channels: C.
        mlp: Names of the two layers of the MLP.
        conv: Name of the spatial convolution.
        bn: Name of the batch norm after it; empty for none.
        maximum_first: Pool the maximum over channels before the mean, as in the authors' code.
        biases: Whether the layers of the MLP have biases.
        conv_bias: Whether the spatial convolution has a bias.
        as_convolutions: Whether the layers of the MLP are 1x1 convolutions.
        kernel_size: Kernel size of the spatial convolution.
        reduction: Channels divided by the width of the MLP.
    """
    hidden, ones = channels // reduction, (1, 1) if as_convolutions else ()
    first, second = mlp
    tensors = {f"{first}.weight": torch.randn(hidden, channels, *ones) / 4}
    tensors |= {f"{first}.bias": torch.randn(hidden)} if biases else {}
    tensors |= {f"{second}.weight": torch.randn(channels, hidden, *ones) / 2}
    tensors |= {f"{second}.bias": torch.randn(channels)} if biases else {}
    tensors[f"{conv}.weight"] = torch.randn(1, 2, kernel_size, kernel_size) / 4
    tensors |= {f"{conv}.bias": torch.randn(1)} if conv_bias else {}
    tensors |= norm_tensors(bn, 1) if bn else {}

    def formula(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        pools = x.mean((2, 3)), x.amax((2, 3))
        channel = sum(linear(tensors, second, linear(tensors, first, pool).relu()) for pool in pools)
        x = x * torch.sigmoid(torch.as_tensor(channel))[:, :, None, None]
        planes = [x.amax(1, keepdim=True), x.mean(1, keepdim=True)]
        stacked = torch.cat(planes if maximum_first else planes[::-1], 1)
        weight, bias = tensors[f"{conv}.weight"], tensors.get(f"{conv}.bias")
        spatial = functional.conv2d(stacked, weight, bias, padding=kernel_size // 2)
        return x * torch.sigmoid(norm(tensors, bn, spatial))

    return ForkModule(tensors, formula)


def se(channels: int, first: str, second: str) -> ForkModule:
    """Return squeeze-and-excitation, equations 2 to 4 of its paper, without biases."""
    hidden = channels // 16

    def formula(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        weights = linear(tensors, second, linear(tensors, first, x.mean((2, 3))).relu())
        return x * torch.sigmoid(weights)[:, :, None, None]

    tensors = {f"{first}.weight": torch.randn(hidden, channels), f"{second}.weight": torch.randn(channels, hidden)}
    return ForkModule(tensors, formula)


def eca(kernel_size: int) -> ForkModule:
    """Return efficient channel attention with the key `conv.weight`."""

    def formula(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        means = x.mean((2, 3))[:, None]
        weights = functional.conv1d(means, tensors["conv.weight"], padding=kernel_size // 2)
        return x * torch.sigmoid(weights)[:, 0, :, None, None]

    return ForkModule({"conv.weight": torch.randn(1, 1, kernel_size)}, formula)


def coordinate(channels: int) -> ForkModule:
    """Return coordinate attention, equations 4 to 9 of its paper, with the keys of the authors' code."""
    hidden = max(8, channels // 32)
    tensors = {"conv1.weight": torch.randn(hidden, channels, 1, 1) / 8, "conv1.bias": torch.randn(hidden)}
    tensors |= norm_tensors("bn1", hidden)
    for layer in ("conv_h", "conv_w"):
        tensors |= {f"{layer}.weight": torch.randn(channels, hidden, 1, 1), f"{layer}.bias": torch.randn(channels)}

    def formula(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        def convolve(layer: str, z: Tensor) -> Tensor:
            return functional.conv2d(z, tensors[f"{layer}.weight"], tensors[f"{layer}.bias"])

        def encode(z: Tensor) -> Tensor:
            return functional.hardswish(norm(tensors, "bn1", convolve("conv1", z)))

        rows = torch.sigmoid(convolve("conv_h", encode(x.mean(3, keepdim=True))))
        columns = torch.sigmoid(convolve("conv_w", encode(x.mean(2, keepdim=True))))
        return x * rows * columns

    return ForkModule(tensors, formula)


def simam() -> ForkModule:
    """Return SimAM, equation 6 of its paper, which has no tensors."""

    def formula(_: Mapping[str, Tensor], x: Tensor) -> Tensor:
        squares = (x - x.mean((2, 3), keepdim=True)).square()
        energy = squares / (4 * (squares.mean((2, 3), keepdim=True) + 1e-4)) + 0.5
        return x * torch.sigmoid(energy)

    return ForkModule({}, formula)


def residual_cbam(channels: int) -> ForkModule:
    """Return a residual bottleneck, 1x1 and 3x3 at half the width as in YOLOv5, with CBAM at the end of its branch."""
    inner = cbam(channels, ("channel_attention.f1", "channel_attention.f2"), "spatial_attention.conv")
    tensors = inner.state_dict()
    for layer, inputs, outputs, size in (("cv1", channels, channels // 2, 1), ("cv2", channels // 2, channels, 3)):
        tensors[f"{layer}.conv.weight"] = torch.randn(outputs, inputs, size, size) / 16
        tensors |= norm_tensors(f"{layer}.bn", outputs)

    def formula(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        branch = x
        for layer, padding in (("cv1", 0), ("cv2", 1)):
            convolved = functional.conv2d(branch, tensors[f"{layer}.conv.weight"], padding=padding)
            branch = functional.silu(norm(tensors, f"{layer}.bn", convolved, eps=1e-3))
        return x + inner.formula(tensors, branch)

    return ForkModule(tensors, formula)


def ultralytics_cbam(channels: int) -> ForkModule:
    """Return the module that the Ultralytics package calls CBAM: a full layer of the means, then spatial weights."""
    tensors = {
        "channel_attention.fc.weight": torch.randn(channels, channels, 1, 1) / 8,
        "channel_attention.fc.bias": torch.randn(channels),
        "spatial_attention.cv1.weight": torch.randn(1, 2, 7, 7) / 4,
    }

    def formula(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        weights = linear(tensors, "channel_attention.fc", x.mean((2, 3)))
        x = x * torch.sigmoid(weights)[:, :, None, None]
        planes = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(functional.conv2d(planes, tensors["spatial_attention.cv1.weight"], padding=3))

    return ForkModule(tensors, formula)
