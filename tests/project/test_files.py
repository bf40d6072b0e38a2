"""Sizes of files and folders: one idea per file, and folders that can be read at a glance."""

from pathlib import Path

import pytest

import attendet

ROOT = Path(__file__).parents[2]
SOURCE = Path(attendet.__file__).parent
MOST_LINES = 300
MOST_ENTRIES = {SOURCE: 22, ROOT / "tests": 24}


@pytest.mark.parametrize(
    "folder", [SOURCE, *(ROOT / name for name in ("runtime", "tests", "tools", "benchmarks", "examples"))]
)
def test_no_file_is_longer_than_300_lines(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".pyi")]
    lines = {str(path): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize(("top", "most"), MOST_ENTRIES.items())
def test_no_folder_has_too_many_entries(top: Path, most: int) -> None:
    folders = [top, *(path for path in top.rglob("*") if path.is_dir() and path.name != "__pycache__")]
    counts = {str(path): number_of_entries(path) for path in folders}
    assert {path: count for path, count in counts.items() if count > most} == {}


def number_of_entries(folder: Path) -> int:
    """Count modules and packages, and data files as one entry; `__init__.py` does not count."""
    entries = [path for path in folder.iterdir() if path.stem not in ("__init__", "__pycache__", "py")]
    code = [path for path in entries if path.is_dir() or path.suffix in (".py", ".pyi")]
    return len(code) + (len(code) < len(entries))
