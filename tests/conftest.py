"""What tests have in common: the command, where the oracles are, which devices there are, and a cache of their own."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings

from attendet.cli import main as entry
from attendet.ops.cbam.compiler import cache_folder
from tests.helpers.command import CommandResult
from tests.helpers.oracles import SHARED
from tests.helpers.small_training import skip_plots

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


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Give every test the same random numbers, and take back what training sets for its whole process."""
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture
def attendet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., CommandResult]:
    """Run the command in this process, in an empty folder, on a terminal wide enough for every line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["attendet", *map(str, arguments)])
        code: object = 0
        try:
            entry.run()
        except SystemExit as stop:
            code = stop.code
        return CommandResult(int(str(code or 0)), *capsys.readouterr())

    return run


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of runs out: they take longer than training here, and have tests of their own."""
    skip_plots(monkeypatch)


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
