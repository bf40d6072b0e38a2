"""Small studies that train real networks, and test doubles for executors and watchers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attendet.study.design.design_file import read_design
from attendet.study.design.grid import Cell
from attendet.study.folder import StudyFolder
from attendet.study.records import CellRecord
from attendet.study.runs.execution import Study
from attendet.study.runs.job import Job
from tests.helpers.small_training import MODEL, write_set

RECIPE = "schedule.imgsz: 64, schedule.batch_size: 4, hardware.device: cpu, data.workers: 0"


class RecordingObserver:
    """Records messages, epochs, and ended runs."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.moves: list[tuple[str, int]] = []
        self.records: list[CellRecord] = []
        self.then: Callable[[Cell, int], None] = lambda *_: None

    def log(self, text: str) -> None:
        self.messages.append(text)

    def on_plan(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        pass

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:  # noqa: ARG002
        self.moves.append((cell.name, epoch))
        self.then(cell, epoch)

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:  # noqa: ARG002
        self.records.append(record)


class FailingExecutor:
    """Fails every run, and records the names of the runs."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, jobs: Sequence[Job], observer: object) -> Iterator[tuple[Job, str | None]]:  # noqa: ARG002
        for job in jobs:
            self.asked.append(job.cell.name)
            yield job, "refused"


def write_data_and_model(root: Path) -> str:
    """Write images and a small model unless they exist, and return the lines of a design that name them."""
    if not (root / "set").exists():
        write_set(root / "set")
    (root / "small.yaml").write_text(MODEL)
    return "name: tiny\nmodel: small.yaml\ndata: set/data.yaml\n"


def write_small(root: Path, arms: str, *, seeds: str = "1", epochs: int = 1, more: str = "") -> Path:
    """Write a study with its data and model, and return its file."""
    file = root / "study.yaml"
    file.write_text(
        f"{write_data_and_model(root)}arms: {arms}\nseeds: {seeds}\nlast_epochs: 1\n{more}"
        f"recipe: {{schedule.epochs: {epochs}, {RECIPE}}}\n"
    )
    return file


def open_study(file: Path) -> Study:
    """Open the study of a file, whose folder is next to the file."""
    return Study(read_design(file), file.parent, StudyFolder(file.parent / "runs" / "tiny"))


def children(word: str, parent: int | None = None) -> list[int]:
    """Return the descendants of a process (default: this one) that have a word in their command line."""
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
