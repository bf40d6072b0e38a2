"""The record of a search: its candidates and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.searching.search_design import BASELINE, SearchDesign
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.settings import StrictModel

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

NO_EVIDENCE = (
    "These scores are not evidence. Each comes from one run with one seed, and the best of many candidates is partly"
    " the luckiest, on the same images that selected it. The study decides, with seeds that the search did not use."
)

State = Literal["running", "finished", "stopped", "failed"]
STATES: Mapping[str, State] = {"RUNNING": "running", "COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed"}


class Candidate(StrictModel):
    """A candidate that was tried, or the baseline.

    Attributes:
        arm: Name of the candidate.
        attention: Attention request, as in `attendet train --attention`; None for the baseline.
        state: `running`, `finished` (trained completely), `stopped` (weak, stopped early), or `failed`.
        epochs: Number of validated epochs.
        values: Metric by epoch, from 1.
        value: Mean of the metric over the last epochs; None unless finished.
        error: Error message of a failed run.
        run: Name of the run's folder.
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
    """A search, the content of search.json.

    Attributes:
        note: Why the scores are not evidence.
        design: The content of search.yaml.
        data: Fingerprint of the images.
        epochs: Number of epochs of a complete run.
        rungs: Epochs after which weak candidates are stopped.
        candidates: Candidates in the order in which they were tried, including the baseline.
        exhausted: Whether all candidates were tried.
    """

    note: str
    design: SearchDesign
    data: str
    epochs: int
    rungs: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    exhausted: bool

    def ranked(self) -> list[Candidate]:
        """Return the finished candidates, the best first, without the baseline."""
        finished = [each for each in self.candidates if each.state == "finished" and each.arm != BASELINE]
        return sorted(finished, key=lambda each: -(each.value or 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, the content of search.json."""
        return self.model_dump(mode="json")

    def _repr_html_(self) -> Markup:
        """Return the candidates as a table, the baseline and the best ones first, for notebooks."""
        ranked = self.ranked()
        others = [each for each in self.candidates if each not in ranked]
        header = ("candidate", "state", METRIC_NAMES[self.design.metric], "epochs")
        rows = [
            (
                each.attention or each.arm,
                each.state if each.error is None else f"{each.state}: {each.error}",
                "-" if each.value is None else f"{each.value:.3f}",
                f"{each.epochs}/{self.epochs}",
            )
            for each in (*others[:1], *ranked, *others[1:])
        ]
        return Markup(html_table(header, rows, text_columns=2, label="candidates") + html_paragraphs([self.note]))


@dataclass(frozen=True)
class SearchFolder:
    """Paths of the files of a search.

    Example:
        >>> SearchFolder(Path("runs/search/where")).record.as_posix()
        'runs/search/where/search.json'
    """

    path: Path

    @property
    def record(self) -> Path:
        """Record of the search."""
        return self.path / "search.json"

    @property
    def journal(self) -> Path:
        """Journal of Optuna."""
        return self.path / "optuna.journal"

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.path / "trials"

    @property
    def draft(self) -> Path:
        """Draft of a study."""
        return self.path / "study.yaml"


def make_candidate(trial: FrozenTrial, run: str) -> Candidate:
    """Return the candidate of an Optuna trial.

    Args:
        trial: The trial.
        run: Name of the run's folder.
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
