"""Studies that are really run: the engine's small network and images, a second a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from attendet.study.execute import Study
from attendet.study.folder import StudyFolder
from attendet.study.grid import Cell
from attendet.study.reading import read_design
from attendet.study.records import CellRecord
from tests.engine.conftest import MODEL, write_set


class Spectator:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.moves: list[tuple[str, int]] = []
        self.records: list[CellRecord] = []
        self.then: Callable[[Cell, int], None] = lambda *_: None

    def say(self, text: str) -> None:
        self.said.append(text)

    def planned(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        pass

    def moved(self, cell: Cell, epoch: int, score: float | None) -> None:  # noqa: ARG002
        self.moves.append((cell.name, epoch))
        self.then(cell, epoch)

    def ended(self, cell: Cell, record: CellRecord) -> None:  # noqa: ARG002
        self.records.append(record)


def write_small(root: Path, arms: str, *, seeds: str = "1", epochs: int = 1, more: str = "") -> Path:
    """Write a study with its data and model, and return its file."""
    write_set(root / "set")
    (root / "small.yaml").write_text(MODEL)
    file = root / "study.yaml"
    file.write_text(
        f"name: tiny\nmodel: small.yaml\ndata: set/data.yaml\narms: {arms}\nseeds: {seeds}\nlast_epochs: 1\n{more}"
        f"recipe: {{schedule.epochs: {epochs}, schedule.imgsz: 64, schedule.batch_size: 4, hardware.device: cpu,"
        " data.workers: 0}\n"
    )
    return file


def opened(file: Path) -> Study:
    """Return the study of a file, with its folder beside it."""
    return Study(read_design(file), file.parent, StudyFolder(file.parent / "runs" / "tiny"))


def children(word: str, parent: int | None = None) -> list[int]:
    """Return the processes that a process has begun, itself or through others, with a word in their command line."""
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            commands[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
        except (OSError, ValueError):
            continue
        state, above = stat.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[int(folder.name)] = int(above)
    found = []
    for process, command in commands.items():
        above = process
        while above in parents and above != (parent or os.getpid()):
            above = parents[above]
        if above == (parent or os.getpid()) and process != above and word in command:
            found.append(process)
    return found


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
