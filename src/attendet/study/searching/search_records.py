"""What a search leaves on disk for people and programs: its candidates, and how far each came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attendet.study.searching.search_design import BASELINE, SearchDesign
from attendet.utils.settings import StrictModel

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

NO_EVIDENCE = (
    "These numbers are no evidence. Each is of one run, with one seed, and the best of many is the best by luck too, on"
    " the very images that it was picked by. The study decides, with seeds that the search has not seen."
)

State = Literal["running", "finished", "stopped", "failed"]
STATES: Mapping[str, State] = {"RUNNING": "running", "COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed"}


class Candidate(StrictModel):
    """Something that was tried, or the baseline.

    Attributes:
        arm: Its name.
        attention: As `attendet train --attention` takes it; None for the baseline.
        state: `finished` is trained to the end, `stopped` was among the weak, `failed` could not be trained.
        epochs: Trained and measured.
        values: The metric, by epoch from 1.
        value: Its mean over the last epochs; None unless finished.
        error: What went wrong, where something did.
        run: Name of its run's folder.
    """

    arm: str
    attention: str | None
    state: State
    epochs: int
    values: dict[int, float]
    value: float | None
    error: str | None
    run: str


class SearchRecord(StrictModel):
    """A search, as `search.json` holds it.

    Attributes:
        note: What its numbers are not.
        design: `search.yaml`, read.
        data: Fingerprint of the images.
        epochs: Of a run that comes to its end.
        rungs: After which epochs the weak are stopped.
        candidates: In the order in which they were tried; the baseline is one of them.
        exhausted: Whether nothing is left to try.
    """

    note: str
    design: SearchDesign
    data: str
    epochs: int
    rungs: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    exhausted: bool

    def ranked(self) -> list[Candidate]:
        """Return what came to its end, the best first, without the baseline."""
        finished = [each for each in self.candidates if each.state == "finished" and each.arm != BASELINE]
        return sorted(finished, key=lambda each: -(each.value or 0.0))


@dataclass(frozen=True)
class SearchFolder:
    """Where the files of a search are.

    Example:
        >>> SearchFolder(Path("runs/search/where")).record.as_posix()
        'runs/search/where/search.json'
    """

    path: Path

    @property
    def record(self) -> Path:
        """What was tried."""
        return self.path / "search.json"

    @property
    def journal(self) -> Path:
        """What Optuna remembers."""
        return self.path / "optuna.journal"

    @property
    def runs(self) -> Path:
        """The folders of the runs."""
        return self.path / "trials"

    @property
    def draft(self) -> Path:
        """A study to begin with."""
        return self.path / "study.yaml"


def candidate(trial: FrozenTrial, run: str) -> Candidate:
    """Return what is known of a trial.

    Args:
        trial: As Optuna keeps it.
        run: Name of its run's folder.
    """
    state = STATES[trial.state.name]
    return Candidate(
        arm=trial.user_attrs["arm"],
        attention="@".join((trial.params["attention"], trial.params["at"])) if trial.params else None,
        state=state,
        epochs=trial.last_step or 0,
        values=dict(sorted(trial.intermediate_values.items())),
        value=trial.value if state == "finished" else None,
        error=trial.user_attrs.get("error"),
        run=run,
    )
