"""Remarks on the validity of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, stdev

import numpy as np
from scipy import stats

from attendet.study.folder import StudyRecords
from attendet.study.records import COLUMNS, CellRecord
from attendet.study.reporting.contrasts import Contrast, scores_by_arm, seeds_looked_at
from attendet.study.reporting.explanations import cannot_decide
from attendet.study.runs.pairing_checks import find_unpaired
from attendet.utils.text import plural

# Below this score, in units of the metric, nothing was learned.
NOTHING_LEARNED = 0.02
# A rise over the deciding epochs counts from this size on, or from a quarter of `matters`.
SMALLEST_RISE = 0.003
STANDARD_ERRORS = 2.0
# Fewest differences whose skewness is meaningful.
MIN_FOR_SKEWNESS = 6


def report_remarks(records: StudyRecords, contrasts: Sequence[Contrast]) -> Iterator[str]:
    """Yield the remarks on a study, the most important first, one sentence each, without the final period."""
    design = records.study.design
    runs = [record for record in records.cells.values() if record.status == "finished"]
    yield from _missing(records, runs)
    too_few = cannot_decide(len(design.seeds))
    if too_few:
        yield too_few
    yield from _diverged(contrasts)
    yield from _learned_nothing(records)
    yield from _still_rising(records, runs)
    yield from _unpaired(runs, records)
    yield from _mixed(runs, "devices", lambda run: run.device)
    yield from _mixed(runs, "versions", lambda run: str(sorted(run.versions.items())))
    yield from _skewed(contrasts)
    yield from _useless_pairing(records, contrasts)
    yield from records.problems


def rise_over_deciding_epochs(runs: Sequence[CellRecord], column: str, count: int) -> tuple[float, float] | None:
    """Return by how much the score rose during the deciding epochs: mean over runs and its standard error.

    Args:
        runs: Finished runs.
        column: Column of the metric in their history.
        count: Number of deciding epochs.

    Returns:
        The score of the last epoch minus that of the last epoch that does not decide; None for fewer than two runs with
        enough epochs.
    """
    rises = []
    for run in runs:
        scores = [value for value in run.history[column] if value is not None]
        if len(scores) > count:
            rises.append(scores[-1] - scores[-1 - count])
    if len(rises) < 2:
        return None
    return fmean(rises), stdev(rises) / len(rises) ** 0.5


def _missing(records: StudyRecords, runs: Sequence[CellRecord]) -> Iterator[str]:
    ended = sum(record.status != "failed" for record in records.cells.values())
    failed = len(records.cells) - ended
    missing = len(records.study.cells) - ended
    if records.study.design.looks:
        if failed:
            yield f"{plural(failed, 'run')} failed, so a look with their seeds is not complete"
        yield from _after_the_look(records, runs)
    elif missing:
        among = f", {failed} of them failed" if failed else ""
        planned = plural(len(records.study.cells), "run")
        yield (
            f"{missing} of {planned} {'is' if missing == 1 else 'are'} missing{among}: the verdicts are provisional,"
            " and stopping as soon as one of them looks good makes it wrong more often than stated"
        )


def _after_the_look(records: StudyRecords, runs: Sequence[CellRecord]) -> Iterator[str]:
    """Yield a remark if runs of seeds after the last complete look have finished."""
    considered = set(seeds_looked_at(records))
    later = sum(run.seed not in considered for run in runs)
    if later:
        yield f"{plural(later, 'finished run is', 'finished runs are')} of an incomplete look, and not considered"


def _diverged(contrasts: Sequence[Contrast]) -> Iterator[str]:
    for each in contrasts:
        diverged = each.divergence.diverged or each.divergence.other_diverged
        if diverged and each.verdict != "does not train" and each.family == "baseline":
            yield f"{each.arm}: {each.divergence}; the seeds of diverged runs are left out of the differences"


def _learned_nothing(records: StudyRecords) -> Iterator[str]:
    scores = scores_by_arm(records)
    poor = [name for name, values in scores.items() if values and fmean(values.values()) < NOTHING_LEARNED]
    if poor:
        yield f"nothing was learned by {', '.join(poor)}: the mean score is below {NOTHING_LEARNED:g}"


def _still_rising(records: StudyRecords, runs: Sequence[CellRecord]) -> Iterator[str]:
    design = records.study.design
    rise = rise_over_deciding_epochs(runs, COLUMNS[design.metric], design.last_epochs)
    smallest = design.matters / 4 if design.matters else SMALLEST_RISE
    if rise is not None and rise[0] > max(smallest, STANDARD_ERRORS * rise[1]):
        yield (
            f"runs were still rising by {rise[0]:.3f} over the {plural(design.last_epochs, 'epoch')} that decide: the"
            " comparison is of speed, and longer training may change it"
        )


def _unpaired(runs: Sequence[CellRecord], records: StudyRecords) -> Iterator[str]:
    wrong = find_unpaired(runs, records.study.design)
    yield from (f"{run.arm}, seed {run.seed}: {wrong[run.key]}" for run in runs if run.key in wrong)
    unknown = sum(run.order is None or not run.initialization for run in runs)
    if unknown:
        yield f"{plural(unknown, 'run')} did not record initial weights and image order: the pairing is not verified"


def _mixed(runs: Sequence[CellRecord], what: str, value: Callable[[CellRecord], str | None]) -> Iterator[str]:
    values = {each for run in runs if (each := value(run)) is not None}
    if len(values) > 1:
        yield f"runs were made on {len(values)} different {what}"


def _skewed(contrasts: Sequence[Contrast]) -> Iterator[str]:
    names = [f"{each.arm} and {each.against}" for each in contrasts if is_skewed(each.differences)]
    if names:
        yield f"the differences between {'; '.join(names)} are skewed, and the test assumes that they are symmetric"


def is_skewed(differences: Sequence[float]) -> bool:
    """Return whether the skewness of at least six differences is more than two standard errors from 0.

    Example:
        >>> is_skewed([0.01, 0.02, 0.01, 0.02, 0.01, 0.02, 0.01, 0.2]), is_skewed([0.01, 0.02, 0.03, 0.01, 0.02, 0.03])
        (True, False)
    """
    count = len(differences)
    if count < MIN_FOR_SKEWNESS or np.ptp(differences) == 0:
        return False
    error = (6 * count * (count - 1) / ((count - 2) * (count + 1) * (count + 3))) ** 0.5
    return abs(float(stats.skew(differences, bias=False))) > STANDARD_ERRORS * error


def _useless_pairing(records: StudyRecords, contrasts: Sequence[Contrast]) -> Iterator[str]:
    scores = scores_by_arm(records)
    names = []
    for each in contrasts:
        if each.spread is None or each.n < MIN_FOR_SKEWNESS:
            continue
        variances = [np.var([scores[arm][seed] for seed in each.seeds], ddof=1) for arm in (each.arm, each.against)]
        if each.spread**2 >= sum(variances):
            names.append(f"{each.arm} and {each.against}")
    if names:
        yield (
            f"pairing by seed gains nothing between {'; '.join(names)}: the spread of the differences is that of"
            " independent runs"
        )
