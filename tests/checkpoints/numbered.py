"""What tests of alignment share: tensors are numbered, so that every value tells which layer it is from."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from attendet.checkpoints.align import Aligned


def load_tool() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "insertion_table.py"
    spec = importlib.util.spec_from_file_location("insertion_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks for its module by name.
    sys.modules["insertion_table"] = module
    spec.loader.exec_module(module)
    return module


tool = load_tool()


def row_of(key: str) -> int:
    return int(key.split(".")[1])


def own(aligned: Aligned, file: Mapping[str, Tensor], key: str, file_key: str | None = None) -> bool:
    return key in aligned.values and torch.equal(aligned.values[key], file[file_key or key])


def blank(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.full_like(value, -1) for key, value in state.items()}
