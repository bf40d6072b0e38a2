"""Sizes of files and folders: one idea per file, and folders that can be read at a glance."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 300
MOST_ENTRIES = 22


@pytest.mark.parametrize("folder", ["src", "tests", "tools", "benchmarks", "examples"])
def test_no_file_is_longer_than_300_lines(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".pyi")]
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("folder", ["src/attendet", "tests"])
def test_no_folder_has_more_than_22_entries(folder: str) -> None:
    """Data files count as one entry, and `__init__.py` and its stub as none."""
    folders = [path for path in (ROOT / folder).rglob("*") if path.is_dir() and path.name != "__pycache__"]
    counts = {str(path.relative_to(ROOT)): number_of_entries(path) for path in (ROOT / folder, *folders)}
    assert {path: count for path, count in counts.items() if count > MOST_ENTRIES} == {}


def number_of_entries(folder: Path) -> int:
    entries = [path for path in folder.iterdir() if path.stem not in ("__init__", "__pycache__", "py")]
    code = [path for path in entries if path.is_dir() or path.suffix in (".py", ".pyi")]
    return len(code) + (len(code) < len(entries))
