"""Small searches: their files, a watcher, and a trainer that only writes scores."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from attendet.study.records import COLUMNS
from attendet.study.runs.job import Job
from attendet.study.searching.search_design import read_search
from attendet.study.searching.search_records import Candidate, SearchFolder, SearchRecord
from attendet.study.searching.search_run import Search
from attendet.training.reporter import Reporter
from tests.helpers.small_studies import RECIPE, write_data_and_model


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
