"""What tests have in common: the command, where the oracles are, which devices there are, and a cache of their own."""

import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor

from attendet.cli import main as entry
from attendet.ops.cbam.compiled import cache_folder
from tests.command import Done

# Shapes in annotations are checked in tests only; modules under torch.compile are left out.
jaxtyping.install_import_hook("attendet.detection", "beartype.beartype")

# A busy machine takes longer, which is no defect. Examples are new ones in every run, so that they come upon what
# nobody has thought of, but in CI, where they would blame a change for what was there before it.
settings.register_profile("attendet", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("attendet")


def pytest_configure(config: pytest.Config) -> None:
    """Let tests that run side by side compute on one thread each, and all of them leave the user's cache alone."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
    else:
        keep_a_cache(config)


def keep_a_cache(config: pytest.Config) -> None:
    """Make a cache for one run, which its workers inherit, and the commands that they start.

    Compiling the fused CBAM takes a quarter of a minute: where the user's cache has it, it is taken from there.
    """
    folder = tempfile.TemporaryDirectory(prefix="attendet-cache-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    own = Path(folder.name, "attendet")
    own.mkdir()
    for compiled in cache_folder().glob("cbam-*.so"):
        (own / compiled.name).symlink_to(compiled)
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", folder.name)
    config.add_cleanup(patch.undo)


SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Give every test the same random numbers, and take back what training sets for its whole process."""
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture
def attendet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """Run the command in this process, in an empty folder, on a terminal wide enough for every line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["attendet", *map(str, arguments)])
        code: object = 0
        try:
            entry.run()
        except SystemExit as stop:
            code = stop.code
        return Done(int(str(code or 0)), *capsys.readouterr())

    return run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of runs out: they take longer than training here, and have tests of their own."""
    leave_pictures_out(monkeypatch)


def leave_pictures_out(patch: pytest.MonkeyPatch) -> None:
    for name in ("draw_data", "draw_results"):
        patch.setattr(f"attendet.engine.train.{name}", lambda *_: None)


@pytest.fixture
def oracles() -> Path:
    folder = SHARED / "oracles"
    if not folder.is_dir():
        pytest.skip("the oracles are not here: they live beside the project, not in it")
    return folder


@pytest.fixture
def real_data() -> Path:
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not here: they live beside the project, not in it")
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
