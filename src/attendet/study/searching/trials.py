"""The trials of a search, with Optuna's sampler, pruner, and journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from attendet.errors import DataError, Location, OptionError
from attendet.study.searching.search_design import BASELINE, SearchDesign
from attendet.utils.io import cannot_write

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial, Trial

NAME = "search"


class Trials:
    """The trials of a search, stored in a journal file.

    Suggestions depend only on the seed and on earlier trials, and an interrupted trial continues as the same trial. So
    an interrupted and resumed search is the same search.

    Args:
        file: Journal of Optuna; created if missing.
        design: The design of the search.
        epochs: Number of epochs of a complete run.
        identity: Everything that identifies the search, by name. It must equal the `identity` stored in the journal.

    Raises:
        OptionError: If the journal belongs to another search.
        DataError: If the journal is damaged.
        OutputError: If the journal cannot be written.
    """

    def __init__(self, file: Path, design: SearchDesign, epochs: int, identity: Mapping[str, object]) -> None:
        import optuna  # noqa: PLC0415 - optional dependency
        from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

        self._optuna = optuna
        self._design, self._candidates = design, design.candidates
        # Optuna would log each trial to standard error, in the middle of our table.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            self._storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=NAME,
                direction="maximize",
                # Unused: see `suggest`.
                sampler=optuna.samplers.RandomSampler(seed=design.seed),
                pruner=self._pruner(epochs),
                load_if_exists=True,
            )
        except OSError as error:
            raise cannot_write(file, error) from error
        except (ValueError, KeyError, TypeError) as error:
            remedy = "remove it: finished runs are found again"
            raise DataError(f"the journal is damaged: {error}", where=Location(str(file)), remedy=remedy) from error
        self._require_same(identity, file.parent)
        self._choices: dict[str, BaseDistribution] = {
            key: optuna.distributions.CategoricalDistribution(sorted(getattr(design.search, key)))
            for key in ("attention", "at")
        }

    def latest(self) -> dict[str, FrozenTrial]:
        """Return the last trial of each candidate and of the baseline by name, in the order of their first trials."""
        return {trial.user_attrs["arm"]: trial for trial in self._study.get_trials(deepcopy=False)}

    def interrupted(self) -> list[Trial]:
        """Return the trials that have not ended, because their process was stopped or killed."""
        running = self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,))
        return [self._alive(trial.number) for trial in running]

    def failed(self) -> list[str]:
        """Return the names of the failed candidates."""
        return [name for name, trial in self.latest().items() if trial.state.name == "FAIL"]

    def begin(self, arm: str) -> Trial:
        """Create a trial of a candidate or of the baseline."""
        parameters = dict(zip(self._choices, self._candidates[arm], strict=True)) if arm != BASELINE else {}
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=self._optuna.trial.TrialState.RUNNING,
                params=parameters,
                distributions={key: self._choices[key] for key in parameters},
                user_attrs={"arm": arm},
            )
        )
        return self.interrupted()[-1]

    def suggest(self) -> str | None:
        """Return the name of a candidate that was not tried yet, or None if all were tried.

        Optuna's tree-structured Parzen estimator (Bergstra et al., 2011) chooses attention and place by the scores of
        earlier candidates. If it chooses a candidate that was tried already, it is asked again; if that happens too
        often, the first remaining candidate is returned.
        """
        tried = self.latest()
        left = {pair: name for name, pair in self._candidates.items() if name not in tried}
        if not left:
            return None
        known = [
            trial for trial in self._study.get_trials(deepcopy=False) if trial.params and trial.state.is_finished()
        ]
        sampler = self._optuna.samplers.TPESampler(seed=(self._design.seed + len(known)) % 2**32)
        scratch = self._optuna.create_study(direction="maximize", sampler=sampler)
        scratch.add_trials(known)
        for _ in self._candidates:
            chosen = scratch.ask(self._choices).params
            if (name := left.get((chosen["attention"], chosen["at"]))) is not None:
                return name
        return next(iter(left.values()))

    def finish(self, trial: Trial, value: float) -> None:
        """Store the score of a finished trial."""
        self._study.tell(trial.number, value)

    def stop(self, trial: Trial) -> None:
        """Store that a trial was stopped early."""
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Trial, error: str) -> None:
        """Store the error of a failed trial."""
        trial.set_user_attr("error", error)
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def recall(self, key: str) -> object:
        """Return the value stored under a key, or None."""
        return self._study.user_attrs.get(key)

    def keep(self, key: str, value: object) -> None:
        """Store a JSON value under a key."""
        self._study.set_user_attr(key, value)

    def _alive(self, number: int) -> Trial:
        study = self._storage.get_study_id_from_name(NAME)
        return self._optuna.trial.Trial(
            self._study, self._storage.get_trial_id_from_study_id_trial_number(study, number)
        )

    def _pruner(self, epochs: int) -> BasePruner:
        """Return the pruner: asynchronous successive halving (Li et al., 2020), or no pruning."""
        factor = self._design.halving
        if factor is None:
            return self._optuna.pruners.NopPruner()
        return self._optuna.pruners.SuccessiveHalvingPruner(
            min_resource=_first_rung(epochs, factor), reduction_factor=factor
        )

    def _require_same(self, identity: Mapping[str, object], folder: Path) -> None:
        before = self.recall("identity")
        if before is None:
            self.keep("identity", dict(identity))
        elif before != dict(identity):
            other = ", ".join(
                key for key in identity if not isinstance(before, dict) or before.get(key) != identity[key]
            )
            raise OptionError(
                f"the search in {folder} was started with another {other}", remedy="give this search another name"
            )


def require_optuna() -> None:
    """Require that Optuna is installed.

    Raises:
        OptionError: If Optuna is not installed.
    """
    if not find_spec("optuna"):
        raise OptionError("Optuna is not installed", remedy="pip install 'attendet[search]'")


def pruning_rungs(epochs: int, factor: int) -> Sequence[int]:
    """Return the epochs after which weak candidates are stopped: epochs / factor², then each `factor` times later.

    Example:
        >>> pruning_rungs(20, 3), pruning_rungs(100, 2), pruning_rungs(1, 3)
        ([2, 6, 18], [25, 50], [])
    """
    rungs, epoch = [], _first_rung(epochs, factor)
    while epoch < epochs:
        rungs.append(epoch)
        epoch *= factor
    return rungs


def _first_rung(epochs: int, factor: int) -> int:
    return max(1, epochs // factor**2)
