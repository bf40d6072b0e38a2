"""How a study's differences depend on the number of epochs that decide."""

from __future__ import annotations

from dataclasses import dataclass

from attendet.study.folder import StudyRecords, runs_of_arm
from attendet.study.records import COLUMNS
from attendet.study.reporting.run_scores import by_seed
from attendet.study.statistics.decisions import differences_matrix
from attendet.study.statistics.joint_tests import step_down_p
from attendet.study.statistics.paired import paired_difference
from attendet.study.statistics.resampling import ALPHA

# Numbers of last epochs, besides that of the design.
COUNTS = (1, 3, 5, 10)


@dataclass(frozen=True)
class Sensitivity:
    """The differences to the baseline for another number of last epochs.

    Attributes:
        last_epochs: Number of last epochs that the score is averaged over.
        differences: Mean difference to the baseline, by arm.
        p: Adjusted p-value, by arm.
    """

    last_epochs: int
    differences: dict[str, float]
    p: dict[str, float]

    def directions(self) -> dict[str, int]:
        """Return 1 for each arm that would help, -1 for each that would hurt, and 0 for the others."""
        return {
            arm: 0 if self.p[arm] > ALPHA else (1 if difference > 0 else -1)
            for arm, difference in self.differences.items()
        }


def sensitivity_to_epochs(records: StudyRecords) -> tuple[Sensitivity, ...]:
    """Return the differences for several numbers of last epochs, as far as all runs have validated that many."""
    design = records.study.design
    runs = {name: runs_of_arm(records, name) for name in design.arms}
    lengths = [
        sum(value is not None for value in run.history[COLUMNS[design.metric]])
        for each in runs.values()
        for run in each
    ]
    counts = sorted({*COUNTS, design.last_epochs})
    return tuple(
        found for count in counts if lengths and count <= min(lengths) and (found := _at(records, count)) is not None
    )


def _at(records: StudyRecords, count: int) -> Sensitivity | None:
    design = records.study.design
    scores = {name: by_seed(runs_of_arm(records, name), design.metric, count) for name in design.arms}
    arms = [name for name in design.arms if name != design.baseline]
    compared = {name: paired_difference(scores[name], scores[design.baseline]) for name in arms}
    known = {name: each for name, each in compared.items() if each}
    matrix = differences_matrix(list(known.values()), design.seeds)
    if matrix is None:
        return None
    p_values = dict(zip(known, step_down_p(matrix), strict=True))
    return Sensitivity(count, {name: each.difference for name, each in known.items()}, p_values)
