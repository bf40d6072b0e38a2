"""What tests have in common: where the oracles are, and which devices there are."""

import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor

# Shapes in annotations are checked in tests only; modules under torch.compile are left out.
jaxtyping.install_import_hook("attendet.detection", "beartype.beartype")

# A busy machine takes longer, which is no defect.
settings.register_profile("attendet", deadline=None)
settings.load_profile("attendet")


def pytest_configure(config: pytest.Config) -> None:
    """Let tests that run side by side, and the commands they start, compute on one thread each."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"


SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Give every test the same random numbers, and take back what training sets for its whole process."""
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture
def oracles() -> Path:
    folder = SHARED / "oracles"
    if not folder.is_dir():
        pytest.skip("the oracles are not here: they live beside the project, not in it")
    return folder


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return torch.device(request.param)


def oracle_weights(state: Mapping[str, Tensor], norm_suffix: str) -> dict[str, Tensor]:
    """Fill a state dict from its keys, as the oracles' README says."""
    filled = {}
    for key, value in state.items():
        if key.endswith(("num_batches_tracked", "anchors")):
            filled[key] = value
            continue
        a = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(tuple(value.shape)).astype(np.float32)
        if key.endswith("running_var"):
            a = 0.5 + np.abs(a)
        elif key.endswith(norm_suffix):
            a = 1 + np.float32(0.1) * a
        elif a.ndim == 4:
            a = a * np.float32(np.sqrt(2 / np.prod(a.shape[1:])))
        else:
            a = np.float32(0.1) * a
        filled[key] = torch.from_numpy(np.asarray(a, dtype=np.float32))
    return filled


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference, as a share of the largest expected magnitude."""
    scale = expected.abs().max().clamp(min=1e-12)
    return ((actual - expected).abs().max() / scale).item()
