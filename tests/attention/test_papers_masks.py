"""A masked module equals its paper on the features without the masked positions."""

import math
from collections.abc import Sequence

import pytest
import torch

from attendet.attention import create
from tests.attention.papers import positions
from tests.attention.papers.basics import Norm, convolve, max_and_mean
from tests.attention.papers.cases import CASES, IDS, C
from tests.attention.papers.comparison import Paper, assert_close, layer, leaf_copies, randomize

PADDED = [
    ((11,), [(11,), (6,), (1,)]),
    ((5, 7), [(3, 4), (5, 2), (1, 7)]),
    ((4, 3, 5), [(4, 2, 1), (3, 3, 5), (2, 1, 2)]),
]


def padding(
    padded_size: Sequence[int], real: Sequence[Sequence[int]], value: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features (N, C, *padded_size) that equal `value` at padded positions, and the mask (N, *padded_size)."""
    mask = torch.zeros(len(real), *padded_size, dtype=torch.bool)
    for item, size in zip(mask, real, strict=True):
        item[corner(size)] = True
    x = torch.randn(len(real), C, *padded_size, dtype=torch.float64)
    return torch.where(mask[:, None], x, value), mask


def corner(size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(length) for length in size)


@pytest.mark.parametrize("value", [0.0, 100.0, -100.0, math.inf, math.nan])
@pytest.mark.parametrize(("padded_size", "real"), PADDED, ids=["sequence", "image", "volume"])
@pytest.mark.parametrize(("name", "options", "paper"), CASES, ids=IDS)
def test_every_item_equals_the_paper_without_its_padding(
    name: str,
    options: dict[str, object],
    paper: Paper,
    padded_size: Sequence[int],
    real: Sequence[Sequence[int]],
    value: float,
) -> None:
    module = randomize(create(name, C, dims=len(padded_size), **options)).eval()
    x, mask = padding(padded_size, real, value)
    y = module(x, mask)
    for n, size in enumerate(real):
        if options.get("variant") == "authors" and name == "simam" and math.prod(size) == 1:
            # The authors' form divides by zero for a single position.
            continue
        inside = (slice(n, n + 1), slice(None), *corner(size))
        assert_close(y[inside], paper(x[inside], leaf_copies(module), False), f"item {n}")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("value", [100.0, math.inf, math.nan])
@pytest.mark.parametrize(("padded_size", "size"), [((11,), (6,)), ((5, 7), (4, 3)), ((4, 3, 5), (3, 2, 4))])
@pytest.mark.parametrize(("name", "options", "paper"), CASES, ids=IDS)
def test_a_training_step_equals_the_paper_without_padding(
    name: str,
    options: dict[str, object],
    paper: Paper,
    padded_size: Sequence[int],
    size: Sequence[int],
    value: float,
    training: bool,
) -> None:
    module = randomize(create(name, C, dims=len(padded_size), **options)).train(training)
    weights = leaf_copies(module)
    x, mask = padding(padded_size, [size] * 3, value)
    x.requires_grad_()
    inside = (slice(None), slice(None), *corner(size))
    unpadded = x.detach()[inside].clone().requires_grad_()
    upstream = torch.randn(unpadded.shape, dtype=torch.float64)

    padded_y, y_paper = module(x, mask), paper(unpadded, weights, training)
    y = padded_y[inside]
    assert_close(y, y_paper, "output")
    assert torch.count_nonzero(torch.where(mask[:, None], 0.0, padded_y)) == 0
    y.backward(upstream)
    y_paper.backward(upstream)
    assert x.grad is not None
    assert_close(x.grad[inside], unpadded.grad, "gradient of the features")
    assert torch.count_nonzero(torch.where(mask[:, None], 0.0, x.grad)) == 0
    for key, parameter in module.named_parameters():
        assert_close(parameter.grad, weights[key].grad, f"gradient of {key}")


@pytest.mark.parametrize(("padded_size", "size"), [((11,), (6,)), ((5, 7), (4, 3)), ((4, 3, 5), (3, 2, 4))])
@pytest.mark.parametrize(("name", "options"), [case[:2] for case in CASES], ids=IDS)
def test_running_statistics_ignore_padding(
    name: str, options: dict[str, object], padded_size: Sequence[int], size: Sequence[int]
) -> None:
    masked = randomize(create(name, C, dims=len(padded_size), **options))
    plain = create(name, C, dims=len(padded_size), **options).double()
    plain.load_state_dict(masked.state_dict())
    x, mask = padding(padded_size, [size] * 3, 100.0)
    masked(x, mask)
    plain(x[(slice(None), slice(None), *corner(size))])
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(masked.state_dict()[key], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "options"), [case[:2] for case in CASES], ids=IDS)
def test_the_values_and_length_of_padding_have_no_effect(name: str, options: dict[str, object], training: bool) -> None:
    module = randomize(create(name, C, dims=1, **options)).train(training)
    x, mask = padding((9,), [(9,), (4,), (7,)], 0.0)
    longer = torch.full((3, C, 14), 100.0, dtype=torch.float64)
    longer[..., :9] = torch.where(mask[:, None], x, -5.0)
    longer_mask = torch.zeros(3, 14, dtype=torch.bool)
    longer_mask[:, :9] = mask
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    y = module(x, mask)
    module.load_state_dict(weights)
    y_longer = module(longer, longer_mask)[..., :9]
    assert_close(torch.where(mask[:, None], y, 0), torch.where(mask[:, None], y_longer, 0), "output")


def test_batch_statistics_include_all_unmasked_positions() -> None:
    module = randomize(create("cbam", C, dims=1, reduction=4, variant="authors"))
    weights = leaf_copies(module)
    mlp, kernel = (layer(weights, "channel.fc1"), layer(weights, "channel.fc2")), weights["spatial.conv.weight"]
    x, mask = padding((9,), [(9,), (4,), (7,)], 100.0)
    items = [x[n : n + 1, :, real] for n, real in enumerate(mask)]
    # A kernel of zeros gates all positions by one half: the output is half of the features after the channel gate.
    zeros = (torch.zeros_like(kernel), None)
    gated = [2 * positions.cbam(item, *mlp, zeros, training=False) for item in items]
    values = torch.cat([convolve(max_and_mean(item, 1), kernel).flatten() for item in gated])
    mean = values.sum() / len(values)
    variance = ((values - mean) ** 2).sum() / len(values)
    norm = Norm(weights["spatial.norm.weight"], weights["spatial.norm.bias"], mean, variance)

    y = module(x, mask)
    for n, item in enumerate(items):
        expected = positions.cbam(item, *mlp, (kernel, None), norm, training=False)
        assert_close(y[n : n + 1, :, mask[n]], expected, f"item {n}")
