"""Carry out a search: one candidate after the other, weak ones stopped early, then the draft of a study."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attendet.errors import AttendetError, OptionError
from attendet.study.design.grid import Cell
from attendet.study.folder import StudyFolder
from attendet.study.runs.execution import Study
from attendet.study.runs.job import Job, describe_error, make_job, run_job
from attendet.study.searching.drafting import draft_study, write_draft
from attendet.study.searching.pruning import PruningListener
from attendet.study.searching.search_design import BASELINE, SearchDesign
from attendet.study.searching.search_records import NO_EVIDENCE, Candidate, SearchFolder, SearchRecord, make_candidate
from attendet.study.searching.trials import Trials, pruning_rungs, require_optuna
from attendet.training.config import build_config
from attendet.utils.processes.folder_lock import exclusive_lock
from attendet.utils.processes.temporary_files import remove_leftovers
from attendet.utils.records import write_record

if TYPE_CHECKING:
    from optuna.trial import Trial


class SearchObserver(Protocol):
    """Receives the progress of a search."""

    def log(self, text: str) -> None:
        """Receive a log line."""
        ...

    def on_progress(self, record: SearchRecord) -> None:
        """Receive the record when a run starts, after each of its epochs, and when it has ended."""
        ...

    def on_run_end(self, candidate: Candidate, record: SearchRecord) -> None:
        """Receive a candidate whose run has finished, stopped, or failed."""
        ...


class SilentSearchObserver:
    """Ignores the progress of a search."""

    def log(self, text: str) -> None:
        """Ignore a line."""

    def on_progress(self, record: SearchRecord) -> None:
        """Ignore the record."""

    def on_run_end(self, candidate: Candidate, record: SearchRecord) -> None:
        """Ignore the end of a run."""


@dataclass(frozen=True)
class Search:
    """An opened search.

    Attributes:
        design: The design.
        base: The folder of search.yaml, which relative paths start from.
        folder: Folder of the search's files.
    """

    design: SearchDesign
    base: Path
    folder: SearchFolder


def run_search(search: Search, observer: SearchObserver) -> SearchRecord:
    """Train candidates until the search has its number of trials, and draft a study of the best.

    A search can be interrupted at any time: finished runs are not repeated, interrupted runs continue from their last
    complete epoch, and the later trials are the same as without the interruption. Failed candidates are tried again by
    the next call. All runs have the same seed, so they start from the same weights and see the same images in the same
    order.

    Args:
        search: The search.
        observer: Receives progress and log lines.

    Raises:
        OptionError: If Optuna is not installed, the folder belongs to another search, or no candidate finishes.
        AttendetError: If data or models are missing, the baseline cannot be trained, or another process is working on
            the search.
    """
    require_optuna()
    searching = SearchRun(search, observer)
    with exclusive_lock(search.folder.path, "search"):
        remove_leftovers(search.folder.path)
        for trial in searching.order():
            searching.carry_out(trial)
        record = searching.record()
        write_record(search.folder.record, record)
        if not record.ranked():
            raise _nothing_found(record)
        text = draft_study(record, searching.job(BASELINE).settings)
        if not write_draft(text, search.folder.draft, searching.trials):
            observer.log(f"{search.folder.draft} was edited and is kept; remove it to get a new draft")
        return record


class SearchRun:
    """The state of a search that is being carried out.

    Args:
        search: The search.
        observer: Receives progress and log lines.
    """

    def __init__(self, search: Search, observer: SearchObserver) -> None:
        self.search, self.observer, self.design = search, observer, search.design
        # All candidates together form a study with one seed; the search runs only a part of it.
        self.study = Study(self.design.study(), search.base, StudyFolder(search.folder.path))
        self.data, cells = self.study.cells()
        self.cells = {cell.arm: cell for cell in cells}
        self.epochs = build_config(self.study.design.settings(BASELINE, self.design.seed)).schedule.epochs

    @cached_property
    def trials(self) -> Trials:
        """The trials so far. They are opened late, because that needs the lock on the folder."""
        return Trials(self.search.folder.journal, self.design, self.epochs, _identity(self.design, self.cells))

    def order(self) -> Iterator[Trial]:
        """Yield the trials to carry out; each one is created after the previous one has ended."""
        yield from self.trials.interrupted()
        for arm in self.trials.failed():
            yield self.trials.begin(arm)
        if BASELINE not in self.trials.latest():
            yield self.trials.begin(BASELINE)
        # The baseline is one of the latest trials, but does not count as one of the requested trials.
        while len(self.trials.latest()) <= self.design.trials and (arm := self.trials.suggest()) is not None:
            yield self.trials.begin(arm)

    def carry_out(self, trial: Trial) -> None:
        """Train a candidate, or its remaining epochs, until it finishes or is stopped."""
        import optuna  # noqa: PLC0415 - optional dependency

        arm = trial.user_attrs["arm"]
        job = self.job(arm)
        listener = PruningListener(trial, job.run, self.design.metric, self.epochs, self._update)
        self._update()
        try:
            listener.poll()
            run_job(job, listener)
            listener.poll()
            self.trials.finish(trial, listener.score(self.design.last_epochs))
        except optuna.TrialPruned:
            self.trials.stop(trial)
        except Exception as error:
            self.trials.fail(trial, describe_error(error))
            if arm == BASELINE:
                # Without the baseline there is nothing to compare candidates with.
                self._update()
                raise
        record = self._update()
        self.observer.on_run_end(next(each for each in record.candidates if each.arm == arm), record)

    def job(self, arm: str) -> Job:
        """Return the job that trains an arm."""
        return make_job(self.cells[arm], self.study.design, self.search.base, self.search.folder.runs)

    def record(self) -> SearchRecord:
        """Return the current record of the search."""
        latest = self.trials.latest()
        return SearchRecord(
            note=NO_EVIDENCE,
            design=self.design,
            data=self.data,
            epochs=self.epochs,
            rungs=tuple(pruning_rungs(self.epochs, self.design.halving)) if self.design.halving else (),
            candidates=tuple(make_candidate(trial, self.job(arm).folder.name) for arm, trial in latest.items()),
            exhausted=len(latest) == len(self.cells),
        )

    def _update(self) -> SearchRecord:
        record = self.record()
        write_record(self.search.folder.record, record)
        self.observer.on_progress(record)
        return record


def _identity(design: SearchDesign, cells: Mapping[str, Cell]) -> dict[str, object]:
    """Return everything that identifies a search, by name. Its own name, `trials`, and `keep` may change."""
    runs = " ".join(sorted(f"{cell.arm} {cell.key}" for cell in cells.values()))
    return {
        "space, model, weights, data, recipe or seed": hashlib.sha256(runs.encode()).hexdigest(),
        "metric": design.metric,
        "number of last epochs": design.last_epochs,
        "halving": design.halving,
    }


def _nothing_found(record: SearchRecord) -> AttendetError:
    failed = [each for each in record.candidates if each.state == "failed"]
    reason = f"; {failed[0].arm}: {failed[0].error}" if failed else ""
    return OptionError(
        f"none of {len(record.candidates) - 1} candidates finished{reason}", remedy="try other candidates"
    )
