"""Sequences and volumes: the papers' equations with sums over all positions, in any number of dimensions."""

from collections.abc import Sequence

import pytest
import torch

from attendet.attention import create
from tests.attention.papers.cases import CASES, IDS, C
from tests.attention.papers.comparison import Paper, assert_close, assert_equal_to_paper, randomize


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(1,), (13,), (5, 7), (3, 4, 5), (1, 2, 6)])
@pytest.mark.parametrize(("name", "options", "paper"), CASES, ids=IDS)
def test_equal_to_the_paper_in_all_dimensions(
    name: str, options: dict[str, object], paper: Paper, size: Sequence[int], training: bool
) -> None:
    if (name, options, size) == ("simam", {"variant": "authors"}, (1,)):
        pytest.skip("the authors' form divides by zero for a single position")
    module = create(name, C, dims=len(size), **options)
    assert_equal_to_paper(module, paper, (3, C, *size), training=training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dims", "axis"), [(3, 2), (3, 4), (2, 2), (2, 3)])
@pytest.mark.parametrize(("name", "options"), [case[:2] for case in CASES], ids=IDS)
def test_one_layer_of_a_volume_and_one_row_of_an_image(
    name: str, options: dict[str, object], dims: int, axis: int, training: bool
) -> None:
    """An axis of length one has no effect: the kernel's center is applied, and its other taps meet zero padding."""
    whole = randomize(create(name, C, dims=dims, **options)).train(training)
    flat = create(name, C, dims=dims - 1, **options).double().train(training)
    weights = whole.state_dict()
    for key, value in flat.state_dict().items():
        if weights[key].ndim > value.ndim:
            weights[key] = weights[key].select(axis, weights[key].shape[axis] // 2)
    flat.load_state_dict(weights)
    x = torch.randn(3, C, *(5, 7, 4)[: dims - 1], dtype=torch.float64)
    assert_close(whole(x.unsqueeze(axis)).squeeze(axis), flat(x), "output")
