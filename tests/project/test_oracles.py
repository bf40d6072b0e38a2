"""The subset of the oracles: small, complete, and equal to the complete oracles."""

import math
import re

import numpy as np
import pytest
import torch

from tests.helpers.oracles import COMPLETE, SUBSET, Oracle, read_oracle
from tests.helpers.tools import load_tool

NAMES = sorted(file.stem for file in SUBSET.glob("*.npz"))
subsample_oracles = load_tool("subsample_oracles")


def test_the_folder_is_small_and_described() -> None:
    assert sum(file.stat().st_size for file in SUBSET.iterdir()) < 3_000_000
    assert {file.stem for file in SUBSET.glob("*.json")} == set(NAMES)
    described = re.findall(r"`([a-z]\w+\*?)`", (SUBSET / "README.md").read_text().partition("## Contents")[2])
    patterns = [re.compile(word.replace("*", r"\w+") + "$") for word in described]
    assert [name for name in NAMES if not any(pattern.match(name) for pattern in patterns)] == []


@pytest.mark.skipif(not COMPLETE.is_dir(), reason="needs the complete oracles in ../shared/oracles")
def test_only_one_oracle_is_left_out() -> None:
    assert {file.stem for file in COMPLETE.glob("*.npz")} - set(NAMES) == {"loss8_basic"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(not COMPLETE.is_dir(), reason="needs the complete oracles in ../shared/oracles")
def test_equal_to_the_complete_oracle(name: str) -> None:
    subset, complete = read_oracle(SUBSET, name), read_oracle(COMPLETE, name)
    assert subset.settings == complete.settings
    assert {key.partition(".kept")[0].partition(".shape")[0] for key in subset.arrays} == set(complete.arrays)
    for key, array in complete.arrays.items():
        assert subset.arrays[key].dtype == array.dtype
        if f"{key}.kept" in subset.arrays:
            assert subset.difference(key, array) == 0
        else:
            assert torch.equal(subset[key], array)


def test_kept_elements_are_of_every_row_and_column_and_include_the_largest() -> None:
    array = np.random.default_rng(0).standard_normal((2, 3, 24, 32, 85)).astype(np.float32)
    kept = subsample_oracles.kept_elements(array)
    assert len(kept) == pytest.approx(subsample_oracles.KEPT, rel=0.05)
    assert np.abs(array).argmax() in kept
    for axis, positions in enumerate(np.unravel_index(kept, array.shape)):
        assert len(np.unique(positions)) == array.shape[axis]
    assert math.gcd(kept[1] - kept[0], array.size) == 1


def test_a_subsampled_array_is_compared_at_its_elements_and_never_read_as_a_whole() -> None:
    oracle = Oracle(
        {}, {"y": torch.tensor([1.0, 4.0]), "y.kept": torch.tensor([0, 3]), "y.shape": torch.tensor([2, 2])}
    )
    assert oracle.difference("y", torch.tensor([[1.0, 9.0], [9.0, 3.0]])) == 0.25
    with pytest.raises(KeyError, match="subsampled"):
        oracle["y"]
    with pytest.raises(AssertionError):
        oracle.difference("y", torch.zeros(4))
