"""Every attention module against the literal transcription of its paper, with the same weights."""

import pytest
import torch

from attendet.attention import create
from tests.attention.papers import adapters
from tests.attention.papers.comparison import Paper, assert_equal_to_paper

C = 32
SIZES = [(5, 7), (6, 4), (1, 3), (8, 1)]

CASES: list[tuple[str, dict[str, object], Paper]] = [
    ("se", {"reduction": 8}, adapters.se),
    ("se", {"reduction": 4, "bias": True}, adapters.se),
    ("eca", {}, adapters.eca),
    ("eca", {"kernel_size": 7}, adapters.eca),
    ("coordinate", {}, adapters.coordinate),
    ("coordinate", {"reduction": 3, "min_width": 4}, adapters.coordinate),
    ("simam", {}, adapters.simam(1e-4, unbiased=False)),
    ("simam", {"regularizer": 0.1}, adapters.simam(0.1, unbiased=False)),
    ("simam", {"variant": "authors"}, adapters.simam(1e-4, unbiased=True)),
    ("scse", {}, adapters.scse("add")),
    ("scse", {"reduction": 8, "bias": True}, adapters.scse("add")),
    ("scse", {"combine": "max"}, adapters.scse("max")),
    ("gc", {"reduction": 4}, adapters.gc),
    ("sk", {}, adapters.sk(2, 32)),
    ("sk", {"branches": 3, "groups": 4, "reduction": 4, "min_width": 4}, adapters.sk(3, 4)),
    ("triplet", {}, adapters.triplet),
    ("triplet", {"kernel_size": 3}, adapters.triplet),
    ("shuffle", {}, adapters.shuffle(16)),
    ("shuffle", {"groups": 4}, adapters.shuffle(4)),
    ("gam", {}, adapters.gam),
    ("ema", {}, adapters.ema(16)),
    ("ema", {"groups": 4}, adapters.ema(4)),
    ("nam", {}, adapters.nam(absolute=True)),
    ("nam", {"variant": "paper"}, adapters.nam(absolute=False)),
    ("lsk", {}, adapters.lsk),
    ("coordinate", {"bias": False}, adapters.coordinate),
    ("gam", {"groups": 4}, adapters.grouped_gam(4)),
    ("sk", {"kernel_sizes": [1, 3, 5, 7], "groups": 1, "variant": "biased"}, adapters.sk_of_copies(4, 1)),
    ("sk", {"kernel_sizes": (5, 1), "groups": 8, "variant": "biased"}, adapters.sk_of_copies(2, 8)),
    ("ultralytics-cbam", {"kernel_size": 5}, adapters.ultralytics_cbam),
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
        assert create("sk", count).state_dict()["branch_weights.fc.weight"].shape[0] == width
