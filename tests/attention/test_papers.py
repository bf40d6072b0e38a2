"""Every attention module against the literal transcription of its paper, with the same weights."""

import pytest
import torch

from attendet.attention import create
from tests.attention.papers import zoo
from tests.attention.papers.comparing import Paper, assert_equal_to_paper

C = 32
SIZES = [(5, 7), (6, 4), (1, 3), (8, 1)]

CASES: list[tuple[str, dict[str, object], Paper]] = [
    ("se", {"reduction": 8}, zoo.se),
    ("se", {"reduction": 4, "bias": True}, zoo.se),
    ("eca", {}, zoo.eca),
    ("eca", {"kernel_size": 7}, zoo.eca),
    ("coordinate", {}, zoo.coordinate),
    ("coordinate", {"reduction": 3, "least": 4}, zoo.coordinate),
    ("simam", {}, zoo.simam(1e-4, unbiased=False)),
    ("simam", {"regularizer": 0.1}, zoo.simam(0.1, unbiased=False)),
    ("simam", {"variant": "authors"}, zoo.simam(1e-4, unbiased=True)),
    ("scse", {}, zoo.scse("add")),
    ("scse", {"reduction": 8, "bias": True}, zoo.scse("add")),
    ("scse", {"combine": "max"}, zoo.scse("max")),
    ("gc", {"reduction": 4}, zoo.gc),
    ("sk", {}, zoo.sk(2, 32)),
    ("sk", {"branches": 3, "groups": 4, "reduction": 4, "least": 4}, zoo.sk(3, 4)),
    ("triplet", {}, zoo.triplet),
    ("triplet", {"kernel_size": 3}, zoo.triplet),
    ("shuffle", {}, zoo.shuffle(16)),
    ("shuffle", {"groups": 4}, zoo.shuffle(4)),
    ("gam", {}, zoo.gam),
    ("ema", {}, zoo.ema(16)),
    ("ema", {"groups": 4}, zoo.ema(4)),
    ("nam", {}, zoo.nam(absolute=True)),
    ("nam", {"variant": "paper"}, zoo.nam(absolute=False)),
    ("lsk", {}, zoo.lsk),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "options", "paper"), CASES, ids=[f"{name}-{options}" for name, options, _ in CASES])
def test_equal_to_the_paper(
    name: str, options: dict[str, object], paper: Paper, size: tuple[int, int], training: bool
) -> None:
    assert_equal_to_paper(create(name, C, **options), paper, (3, C, *size), training=training)


@pytest.mark.parametrize(("count", "width"), [(64, 32), (512, 32), (1024, 64)])
def test_the_width_of_selective_kernels(count: int, width: int) -> None:
    # Equation 4 of the paper: d = max(C/r, L), r = 16 and L = 32.
    with torch.device("meta"):
        assert create("sk", count).state_dict()["shares.fc.weight"].shape[0] == width
