"""How a study's differences depend on the number of epochs that decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from attendet.study.folder import StudyRecords, runs_of_arm
from attendet.study.records import COLUMNS
from attendet.study.reporting.contrasts import decide_family
from attendet.study.statistics.decisions import Verdict

# Numbers of last epochs, besides that of the design.
COUNTS = (1, 3, 5, 10)


@dataclass(frozen=True)
class Sensitivity:
    """The differences to the baseline for another number of last epochs.

    Attributes:
        last_epochs: Number of last epochs that the score is averaged over.
        differences: Mean difference to the baseline, by arm.
        p: Adjusted p-value, by arm.
        verdicts: Verdict, by arm.
    """

    last_epochs: int
    differences: dict[str, float]
    p: dict[str, float]
    verdicts: dict[str, Verdict]


def sensitivity_to_epochs(
    records: StudyRecords, dropped: Callable[[StudyRecords], Mapping[str, Mapping[int, float]]]
) -> tuple[Sensitivity, ...]:
    """Return the differences for several numbers of last epochs, as far as all runs have validated that many.

    Args:
        records: Records of the study.
        dropped: Returns the scores by seed of arms that are not in the design but count.
    """
    design = records.study.design
    column = COLUMNS[design.metric]
    lengths = [
        sum(value is not None for value in run.history[column])
        for name in design.arms
        for run in runs_of_arm(records, name)
    ]
    counts = [count for count in sorted({*COUNTS, design.last_epochs}) if lengths and count <= min(lengths)]
    return tuple(_at(_with_last_epochs(records, count), dropped) for count in counts)


def _with_last_epochs(records: StudyRecords, count: int) -> StudyRecords:
    design = records.study.design.model_copy(update={"last_epochs": count})
    return replace(records, study=records.study.model_copy(update={"design": design}))


def _at(records: StudyRecords, dropped: Callable[[StudyRecords], Mapping[str, Mapping[int, float]]]) -> Sensitivity:
    design = records.study.design
    arms = [name for name in design.arms if name != design.baseline]
    decided = decide_family([(name, design.baseline) for name in arms], records, dropped(records))
    known = {name: (paired, decision) for name, (paired, decision) in zip(arms, decided, strict=True) if paired}
    return Sensitivity(
        last_epochs=design.last_epochs,
        differences={name: paired.difference for name, (paired, _) in known.items()},
        p={name: decision.p for name, (_, decision) in known.items()},
        verdicts={name: decision.verdict for name, (_, decision) in known.items()},
    )
