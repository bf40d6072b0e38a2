"""What tests of alignment share: tensors are numbered, so that every value tells which layer it is from."""

from collections.abc import Mapping

import torch
from torch import Tensor

from attendet.weights.align.alignment import Aligned
from tests.helpers.tools import load_tool

tool = load_tool("insertion_table")


def row_of(key: str) -> int:
    return int(key.split(".")[1])


def own(aligned: Aligned, file: Mapping[str, Tensor], key: str, file_key: str | None = None) -> bool:
    return key in aligned.values and torch.equal(aligned.values[key], file[file_key or key])


def blank(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.full_like(value, -1) for key, value in state.items()}
