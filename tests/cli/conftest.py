"""Command lines run in this process."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.cli import main as entry
from attendet.engine import train as engine


@pytest.fixture
def studied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line of `attendet study`; return its exit code and what it has printed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    for name in ("draw_data", "draw_results"):
        monkeypatch.setattr(engine, name, lambda *_: None)

    def call(text: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["attendet", "study", *shlex.split(text)])
        code = 0
        try:
            entry.run()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call
