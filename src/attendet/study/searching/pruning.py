"""Who hears a candidate's run, epoch by epoch, and ends it where the candidate is among the weak."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import TYPE_CHECKING

from attendet.errors import DataError, Location
from attendet.study.records import COLUMNS
from attendet.study.searching.search_design import BASELINE
from attendet.training.reporter import NullReporter
from attendet.training.run_folder import RunFolder, read_results

if TYPE_CHECKING:
    from optuna.trial import Trial

    from attendet.study.design.schema import Metric


class PruningListener(NullReporter):
    """Reports what each epoch has measured to a trial.

    Args:
        trial: Which.
        run: Its run.
        metric: What is looked at.
        epochs: Of a run that comes to its end.
        moved: Called after each epoch.
    """

    def __init__(self, trial: Trial, run: RunFolder, metric: Metric, epochs: int, moved: Callable[[], object]) -> None:
        self.trial, self.run, self.epochs, self.moved = trial, run, epochs, moved
        self.metric: Metric = metric
        known = trial.study.get_trials(deepcopy=False)[trial.number]
        self.values: dict[int, float] = dict(known.intermediate_values)

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Take the row of an epoch, which the run has written."""
        self.poll()

    def poll(self) -> None:
        """Report the epochs that are new, also those of a process that was killed before it could.

        Raises:
            optuna.TrialPruned: If the candidate is among the weak. The baseline never is: without it, there is nothing
                to look at the others beside.
        """
        # A process that was killed may have reported an epoch and not judged it.
        self._judge()
        for epoch, value in measured(self.run, self.metric).items():
            if epoch not in self.values:
                self.values[epoch] = value
                self.trial.report(value, epoch)
                self._judge()
                self.moved()

    def score(self, last_epochs: int) -> float:
        """Return the mean over the last epochs that were measured.

        Raises:
            DataError: If none was.
        """
        if not self.values:
            raise DataError("no epoch was measured", where=Location(str(self.run.results)), remedy="remove the folder")
        return fmean([value for _, value in sorted(self.values.items())][-last_epochs:])

    def _judge(self) -> None:
        """End the run if it is among the weak where it is now; at its end it is too late to save anything."""
        import optuna  # noqa: PLC0415 - an extra

        is_judged = self.trial.user_attrs["arm"] != BASELINE and max(self.values, default=0) < self.epochs
        if is_judged and self.trial.should_prune():
            raise optuna.TrialPruned


def measured(run: RunFolder, metric: Metric) -> dict[int, float]:
    """Return what a run has measured so far, by epoch from 1; nothing where nothing is whole yet."""
    try:
        values = {int(row["epoch"]): row[COLUMNS[metric]] for row in read_results(run.results)}
    except (DataError, KeyError, ValueError, OverflowError):
        return {}
    return {epoch: value for epoch, value in sorted(values.items()) if not math.isnan(value)}
