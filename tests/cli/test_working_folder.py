"""Nothing of the working folder runs: modules, settings of libraries, plugins, and git's hooks are a stranger's."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.helpers.command import COMMAND
from tests.helpers.small_studies import write_small

PLUGIN = """[pydantic]
evil = plugin
[attendet.attention]
evil = plugin
[matplotlib.backend]
evil = plugin
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which everything that could run by accident leaves a file in the folder `ran` next to it."""
    folder, ran = tmp_path / "folder", tmp_path / "ran"
    folder.mkdir()
    ran.mkdir()
    names = {*sys.stdlib_module_names, *packages_distributions(), "sitecustomize", "usercustomize", "plugin"}
    for name in names - {"attendet"}:
        if name.isidentifier():
            text = f"open({str(ran / name)!r}, 'w').close()\nraise ImportError('{name} of the working folder')\n"
            (folder / f"{name}.py").write_text(text)
    (folder / "evil.pth").write_text(f"import os; os.mkdir({str(ran / 'pth')!r})\n")
    (folder / "evil-1.0.dist-info").mkdir()
    (folder / "evil-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (folder / "evil-1.0.dist-info" / "entry_points.txt").write_text(PLUGIN)
    (folder / "matplotlibrc").write_text("backend: module://plugin\nfigure.dpi: nonsense\n")
    for program in ("git", "g++", "c++", "clang++", "cc", "gcc"):
        (folder / program).write_text(f"#!/bin/sh\n: > {ran / program}\n")
        (folder / program).chmod(0o755)
    # A relative entry of the search path is the working folder.
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    repository = folder / ".git"
    (repository / "hooks").mkdir(parents=True)
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    (repository / "config").write_text(f"[core]\n\tfsmonitor = touch {ran / 'fsmonitor'}\n\tbare = false\n")
    return folder


def run(folder: Path, *command: object) -> None:
    """Run a command in a folder, and expect success and no trace of the folder's files."""
    done = subprocess.run([str(each) for each in command], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (folder.parent / "ran").iterdir()] == []
    assert "of the working folder" not in done.stderr
    assert "matplotlibrc" not in done.stderr


def test_a_study_in_processes_with_loaders_and_plots_runs_nothing_of_the_folder(hostile: Path) -> None:
    file = write_small(hostile, "{a: , b: se:reduction=2@after:Conv}")
    file.write_text(file.read_text().replace("data.workers: 0", "data.workers: 1"))
    run(hostile, COMMAND, "study", "run", file.name, "--executor", "processes", "--workers", "1", "--limit", "1")


def test_the_fused_operators_are_not_compiled_by_a_program_of_the_folder(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(hostile / "cache"))
    program = "from attendet.ops.cbam.compiler import find_compiler; print(find_compiler())"
    run(hostile, sys.executable, "-P", "-c", program)


def test_python_m_attendet_prefers_installed_modules(hostile: Path) -> None:
    # Python itself imports these modules before it runs attendet; `python -P -m attendet` finds the installed ones.
    for path in hostile.glob("*.py"):
        if path.stem not in ("queue", "random", "typing_extensions", "torch", "numpy", "rich", "typer", "yaml", "json"):
            path.unlink()
    run(hostile, sys.executable, "-m", "attendet", "summary", "yolov5n")
    (hostile / "importlib.py").write_text("raise SystemExit(1)")
    run(hostile, sys.executable, "-P", "-m", "attendet", "summary", "yolov5n")
