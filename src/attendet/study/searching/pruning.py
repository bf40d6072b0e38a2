"""Reporting a candidate's epochs to Optuna, and stopping weak candidates early."""

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
    """Reports the score of each epoch to an Optuna trial.

    Args:
        trial: The trial.
        run: Folder of the trial's run.
        metric: Metric that is reported.
        epochs: Number of epochs of a complete run.
        moved: Called after each epoch.
    """

    def __init__(self, trial: Trial, run: RunFolder, metric: Metric, epochs: int, moved: Callable[[], object]) -> None:
        self.trial, self.run, self.epochs, self.moved = trial, run, epochs, moved
        self.metric: Metric = metric
        known = trial.study.get_trials(deepcopy=False)[trial.number]
        self.values: dict[int, float] = dict(known.intermediate_values)

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Report the epoch, whose row the run has already written."""
        self.poll()

    def poll(self) -> None:
        """Report all new epochs, including epochs of a process that was killed before it could report them.

        Raises:
            optuna.TrialPruned: If the candidate is weak. The baseline is never stopped, because the candidates are
                compared with it.
        """
        # A killed process may have reported an epoch without deciding on it.
        self._stop_if_weak()
        for epoch, value in validated_epochs(self.run, self.metric).items():
            if epoch not in self.values:
                self.values[epoch] = value
                self.trial.report(value, epoch)
                self._stop_if_weak()
                self.moved()

    def score(self, last_epochs: int) -> float:
        """Return the mean score over the last validated epochs.

        Args:
            last_epochs: Number of epochs to average.

        Raises:
            DataError: If no epoch was validated.
        """
        if not self.values:
            raise DataError("no epoch was validated", where=Location(str(self.run.results)), remedy="remove the folder")
        return fmean([value for _, value in sorted(self.values.items())][-last_epochs:])

    def _stop_if_weak(self) -> None:
        """Stop the run if it is weak at its current epoch. A complete run is not stopped: nothing would be saved."""
        import optuna  # noqa: PLC0415 - optional dependency

        can_stop = self.trial.user_attrs["arm"] != BASELINE and max(self.values, default=0) < self.epochs
        if can_stop and self.trial.should_prune():
            raise optuna.TrialPruned


def validated_epochs(run: RunFolder, metric: Metric) -> dict[int, float]:
    """Return the scores of a run by epoch, from 1; empty if its results are not readable yet."""
    try:
        values = {int(row["epoch"]): row[COLUMNS[metric]] for row in read_results(run.results)}
    except (DataError, KeyError, ValueError, OverflowError):
        return {}
    return {epoch: value for epoch, value in sorted(values.items()) if not math.isnan(value)}
