"""Fixtures of all tests: the command, oracles, real data, and devices; and a temporary cache folder."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings

from attendet.ops.cbam.compiler import cache_folder
from tests.helpers.command import CommandResult
from tests.helpers.oracles import COMPLETE, SHARED, SUBSET, Oracle, read_oracle

# Shapes in annotations are checked in tests only; modules under torch.compile are left out.
jaxtyping.install_import_hook("attendet.detection", "beartype.beartype")

# Without a deadline, because a busy machine is slower. Every run draws new examples, except in CI, where a change must
# not fail because of a defect that it did not cause.
settings.register_profile("attendet", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("attendet")

ONE_DAY = 24 * 3600  # seconds


def pytest_configure(config: pytest.Config) -> None:
    """Let parallel workers use one thread each, and keep the user's cache unchanged."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
    else:
        use_temporary_cache(config)


def use_temporary_cache(config: pytest.Config) -> None:
    """Create a cache folder for this run, which workers and commands inherit.

    It links the fused CBAM operators of the user's cache, because compiling them takes 15 seconds.
    """
    for abandoned in Path(tempfile.gettempdir()).glob("attendet-cache-*"):
        # A test run that was killed leaves its folder; another one may be removing it.
        with suppress(OSError):
            if time.time() - abandoned.stat().st_mtime > ONE_DAY:
                shutil.rmtree(abandoned)
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
    """Seed every test, and reset the deterministic mode that training sets for the process."""
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture
def attendet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., CommandResult]:
    """Return a function that runs the command in this process, in an empty folder, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["attendet", *map(str, arguments)])
        code: object = 0
        try:
            import_module("attendet.cli.main").run()
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return CommandResult(int(str(code or 0)), out, err)

    return run


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training write no plots, which take longer than training here and have their own tests."""
    from tests.helpers.small_training import skip_plots  # noqa: PLC0415 (imports all of training)

    skip_plots(monkeypatch)


@pytest.fixture(params=[SUBSET, COMPLETE] if COMPLETE.is_dir() else [SUBSET], ids=lambda folder: folder.parent.name)
def oracle(request: pytest.FixtureRequest) -> Callable[..., Oracle]:
    """Return a function that reads an oracle by name, onto a device; a missing one fails the test."""
    return partial(read_oracle, request.param)


@pytest.fixture
def real_data() -> Path:
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return folder


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return torch.device(request.param)
