"""Errors of memory as NumPy, torch and the system raise them: more is asked for than any machine has."""

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from attendet.utils.devices import is_out_of_memory


@pytest.mark.parametrize(
    "ask",
    [
        lambda: np.empty(2**60, np.uint8),
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: mmap.mmap(-1, 2**60),
        lambda: bytearray(2**60),
    ],
    ids=["numpy", "torch", "system", "python"],
)
def test_what_no_machine_has(ask: Callable[[], object]) -> None:
    with pytest.raises((MemoryError, RuntimeError, OSError)) as caught:
        ask()
    assert is_out_of_memory(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_what_no_gpu_has() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.uint8, device="cuda")
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "ask",
    [lambda: torch.zeros(2) + torch.zeros(3), lambda: Path("/nowhere/at/all").read_bytes(), lambda: np.zeros(2)[5]],
    ids=["torch", "system", "numpy"],
)
def test_other_mistakes(ask: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, OSError, IndexError)) as caught:
        ask()
    assert not is_out_of_memory(caught.value)
