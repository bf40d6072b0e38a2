"""Small studies that train real networks, small searches, and test doubles for executors, trainers, and watchers."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attendet.study.design.design_file import read_design
from attendet.study.design.grid import Cell
from attendet.study.folder import StudyFolder
from attendet.study.records import COLUMNS, CellRecord
from attendet.study.runs.execution import Study
from attendet.study.runs.job import Job, RunFailure
from attendet.study.searching.search_design import read_search
from attendet.study.searching.search_records import Candidate, SearchFolder, SearchRecord
from attendet.study.searching.search_run import Search
from attendet.training.reporter import Reporter
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

    def on_plan(self, cells: Sequence[Cell], ended: Sequence[CellRecord]) -> None:
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

    def run(self, jobs: Sequence[Job], observer: object) -> Iterator[tuple[Job, RunFailure | None]]:  # noqa: ARG002
        for job in jobs:
            self.asked.append(job.cell.name)
            yield job, RunFailure("refused")


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


class RecordingSearchObserver:
    """Records messages and ended candidates."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.ended_candidates: list[Candidate] = []
        self.then: Callable[[SearchRecord], None] = lambda _: None

    def log(self, text: str) -> None:
        self.messages.append(text)

    def on_progress(self, record: SearchRecord) -> None:
        self.then(record)

    def on_run_end(self, candidate: Candidate, record: SearchRecord) -> None:  # noqa: ARG002
        self.ended_candidates.append(candidate)


class FakeTrainer:
    """Writes scores without training, and resumes an interrupted run after its last epoch.

    Args:
        score: Returns the score of an arm and an epoch; an exception that it raises ends the run.
        epochs: Epochs of a complete run.
    """

    def __init__(self, score: Callable[[str, int], float], epochs: int) -> None:
        self.score, self.epochs = score, epochs
        self.done: list[tuple[str, int]] = []

    def perform(self, job: Job, reporter: Reporter) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        written = job.run.results.read_text() if job.run.results.exists() else ",".join(["epoch", *COLUMNS.values()])
        rows = list(csv.reader(written.splitlines()))
        for epoch in range(len(rows), self.epochs + 1):
            rows.append([str(epoch), *[repr(self.score(job.cell.arm, epoch))] * len(COLUMNS)])
            with job.run.results.open("w", newline="") as file:
                csv.writer(file).writerows(rows)
            self.done.append((job.cell.arm, epoch))
            reporter.on_epoch_end({}, is_best=False)


def write_search(root: Path, space: str, *, trials: int = 3, epochs: int = 4, more: str = "") -> Path:
    """Write a search with its data and model, and return its file."""
    file = root / "search.yaml"
    file.write_text(
        f"{write_data_and_model(root)}search: {space}\ntrials: {trials}\n"
        f"last_epochs: {min(2, epochs)}\n{more}"
        f"recipe: {{schedule.epochs: {epochs}, {RECIPE}}}\n"
    )
    return file


def open_search(file: Path) -> Search:
    """Open the search of a file, whose folder is next to the file."""
    return Search(read_search(file), file.parent, SearchFolder(file.parent / "runs" / "tiny"))
