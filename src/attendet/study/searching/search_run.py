"""A search from its design to the draft of a study: one candidate after the other, the weak ones not to the end."""

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
from attendet.study.runs.folder_lock import exclusive_lock
from attendet.study.runs.job import Job, explain, make_job, perform
from attendet.study.searching.drafting import draft_study, write_draft
from attendet.study.searching.pruning import PruningListener
from attendet.study.searching.search_design import BASELINE, SearchDesign
from attendet.study.searching.search_records import NO_EVIDENCE, Candidate, SearchFolder, SearchRecord, candidate
from attendet.study.searching.trials import Trials, require_optuna, rungs
from attendet.training.config import build_config
from attendet.utils.records import write_record

if TYPE_CHECKING:
    from optuna.trial import Trial


class SearchObserver(Protocol):
    """Who watches a search."""

    def log(self, text: str) -> None:
        """Take one line."""
        ...

    def on_progress(self, record: SearchRecord) -> None:
        """Take how far the search is: when a run begins, after each of its epochs, and when it has ended."""
        ...

    def on_run_end(self, candidate: Candidate, record: SearchRecord) -> None:
        """Take a run that has ended, well or not."""
        ...


@dataclass(frozen=True)
class Search:
    """A design, and where it lies.

    Attributes:
        design: What is tried.
        base: The folder of `search.yaml`, where relative paths begin.
        folder: Where everything goes.
    """

    design: SearchDesign
    base: Path
    folder: SearchFolder


def run_search(search: Search, observer: SearchObserver) -> SearchRecord:
    """Try what a search has not tried yet, until it has tried as many candidates as it should, and draft a study.

    It can be stopped at any time: what has ended is not run again, and what was interrupted goes on from its last whole
    epoch, to the same trials as if it had not been. What has failed is tried again by the next call. All runs have the
    same seed, so that they begin alike and see the same images in the same order.

    Args:
        search: What, and where.
        observer: Who watches.

    Raises:
        OptionError: If Optuna is not installed, the folder is of another search, or no candidate comes to its end.
        AttendetError: If data or models are not there, the baseline cannot be trained, or another process works on
            this search.
    """
    require_optuna()
    searching = SearchRun(search, observer)
    with exclusive_lock(search.folder.path, "search"):
        for trial in searching.order():
            searching.carry_out(trial)
        record = searching.record()
        write_record(search.folder.record, record)
        if not record.ranked():
            raise _nothing_found(record)
        text = draft_study(record, searching.job(BASELINE).settings)
        if not write_draft(text, search.folder.draft, searching.trials):
            observer.log(f"{search.folder.draft} was changed, and stays as it is; without it, it is written anew")
        return record


class SearchRun:
    """A search while it is carried out.

    Args:
        search: What, and where.
        observer: Who watches.
    """

    def __init__(self, search: Search, observer: SearchObserver) -> None:
        self.search, self.observer, self.design = search, observer, search.design
        # All that could be tried is a study of one seed, of which only a part is run.
        self.study = Study(self.design.study(), search.base, StudyFolder(search.folder.path))
        self.data, cells = self.study.cells()
        self.cells = {cell.arm: cell for cell in cells}
        self.epochs = build_config(self.study.design.settings(BASELINE, self.design.seed)).schedule.epochs

    @cached_property
    def trials(self) -> Trials:
        """What was tried; opened when it is needed, for only who holds the folder may."""
        return Trials(self.search.folder.journal, self.design, self.epochs, _facts(self.design, self.cells))

    def order(self) -> Iterator[Trial]:
        """Yield the trials that are to be carried out, each begun when the one before has ended."""
        yield from self.trials.cut_short()
        for arm in self.trials.failed():
            yield self.trials.begin(arm)
        if BASELINE not in self.trials.latest():
            yield self.trials.begin(BASELINE)
        # The baseline is among the latest, and none of the trials that were asked for.
        while len(self.trials.latest()) <= self.design.trials and (arm := self.trials.suggest()) is not None:
            yield self.trials.begin(arm)

    def carry_out(self, trial: Trial) -> None:
        """Train a candidate, or what is left of it, as far as it is worth it."""
        import optuna  # noqa: PLC0415 - an extra

        arm = trial.user_attrs["arm"]
        job = self.job(arm)
        listener = PruningListener(trial, job.run, self.design.metric, self.epochs, self._tell)
        self._tell()
        try:
            listener.poll()
            perform(job, listener)
            listener.poll()
            self.trials.finish(trial, listener.score(self.design.last_epochs))
        except optuna.TrialPruned:
            self.trials.stop(trial)
        except Exception as error:
            self.trials.fail(trial, explain(error))
            if arm == BASELINE:
                # Nothing could be looked at beside it.
                self._tell()
                raise
        record = self._tell()
        self.observer.on_run_end(next(each for each in record.candidates if each.arm == arm), record)

    def job(self, arm: str) -> Job:
        """Return what carries out a run."""
        return make_job(self.cells[arm], self.study.design, self.search.base, self.search.folder.runs)

    def record(self) -> SearchRecord:
        """Return what is known now."""
        latest = self.trials.latest()
        return SearchRecord(
            note=NO_EVIDENCE,
            design=self.design,
            data=self.data,
            epochs=self.epochs,
            rungs=tuple(rungs(self.epochs, self.design.halving)) if self.design.halving else (),
            candidates=tuple(candidate(trial, self.job(arm).folder.name) for arm, trial in latest.items()),
            exhausted=len(latest) == len(self.cells),
        )

    def _tell(self) -> SearchRecord:
        record = self.record()
        write_record(self.search.folder.record, record)
        self.observer.on_progress(record)
        return record


def _facts(design: SearchDesign, cells: Mapping[str, Cell]) -> dict[str, object]:
    """Return what a search is, by a word for it; names, the number of trials and what is kept may change."""
    runs = " ".join(sorted(f"{cell.arm} {cell.key}" for cell in cells.values()))
    return {
        "space, model, weights, data, recipe or seed": hashlib.sha256(runs.encode()).hexdigest(),
        "metric": design.metric,
        "number of last epochs": design.last_epochs,
        "halving": design.halving,
    }


def _nothing_found(record: SearchRecord) -> AttendetError:
    failed = [each for each in record.candidates if each.state == "failed"]
    told = f"; {failed[0].arm}: {failed[0].error}" if failed else ""
    return OptionError(f"none of {len(record.candidates) - 1} candidates came to its end{told}", remedy="try others")
