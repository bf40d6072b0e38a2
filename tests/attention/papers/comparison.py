"""Compare a module with the transcription of its paper: outputs and gradients for the same weights."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from tests.attention.papers.basics import Layer, Norm

NamedWeights = Mapping[str, Tensor]
Paper = Callable[[Tensor, NamedWeights, bool], Tensor]
"""A transcription: takes the features, the module's weights by name, and whether it is in training mode."""


def randomize(module: nn.Module) -> nn.Module:
    """Set all weights and running statistics of a module to random values, in float64."""
    module.double()
    with torch.no_grad():
        for weight in module.parameters():
            # Scaled so that sums stay near 1, and gates stay away from 0 and 1.
            weight.normal_().div_(weight[0].numel() ** 0.5 if weight.ndim > 1 else 1)
        for name, statistic in module.named_buffers():
            if name.endswith("running_mean"):
                statistic.normal_()
            elif name.endswith("running_var"):
                statistic.uniform_(0.5, 2)
    return module


def leaf_copies(module: nn.Module) -> NamedWeights:
    """Return copies of the weights and statistics by name, as leaf tensors that receive gradients."""
    return {
        name: value.detach().clone().requires_grad_(value.is_floating_point())
        for name, value in module.state_dict().items()
    }


def layer(weights: NamedWeights, name: str) -> Layer:
    """Return the weight and the bias of a layer; the bias is None for a layer without one."""
    return weights[f"{name}.weight"], weights.get(f"{name}.bias")


def affine(weights: NamedWeights, name: str) -> tuple[Tensor, Tensor]:
    """Return the scale and the shift of a layer norm or a group norm."""
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def norm(weights: NamedWeights, name: str) -> Norm:
    """Return the tensors of a batch norm."""
    weight, bias, mean, variance = (
        weights[f"{name}.{kind}"] for kind in ("weight", "bias", "running_mean", "running_var")
    )
    return Norm(weight, bias, mean, variance)


def assert_equal_to_paper(module: nn.Module, paper: Paper, size: Sequence[int], *, training: bool) -> None:
    """Compare outputs, and the gradients of the features and of every parameter, to nine digits."""
    randomize(module).train(training)
    weights = leaf_copies(module)
    x = torch.randn(*size, dtype=torch.float64, requires_grad=True)
    x_paper = x.detach().clone().requires_grad_()
    upstream = torch.randn(*size, dtype=torch.float64)

    y, y_paper = module(x), paper(x_paper, weights, training)
    assert_close(y, y_paper, "output")
    y.backward(upstream)
    y_paper.backward(upstream)
    assert_close(x.grad, x_paper.grad, "gradient of the features")
    for name, parameter in module.named_parameters():
        assert_close(parameter.grad, weights[name].grad, f"gradient of {name}")


def assert_close(ours: Tensor | None, papers: Tensor | None, what: str) -> None:
    """Compare two tensors to nine digits; neither may be None."""
    assert ours is not None, what
    assert papers is not None, what
    torch.testing.assert_close(ours, papers, rtol=1e-9, atol=1e-11, msg=lambda text: f"{what}: {text}")
