"""Run a study look by look until every comparison is decided."""

from __future__ import annotations

from attendet.errors import OptionError
from attendet.study.folder import read_study
from attendet.study.reporting.outcome import StudyReport
from attendet.study.reporting.publishing import look_at
from attendet.study.runs.execution import Study, StudyRunResult, run_study
from attendet.study.runs.executors import Executor, StudyObserver
from attendet.utils.text import plural


def run_until_settled(
    study: Study,
    executor: Executor,
    observer: StudyObserver,
    limit: int | None = None,
    *,
    new_question: bool = False,
) -> StudyRunResult:
    """Run the seeds of the next look, look at the results, and stop if every comparison is decided.

    The design's looks are known before the first run, and the levels of the verdicts account for them (see
    `attendet.study.statistics.sequential`), so stopping early does not make false positives more frequent.

    Args:
        study: The study, whose design has looks.
        executor: Carries out the runs.
        observer: Receives progress and log lines.
        limit: Largest number of runs of this call.
        new_question: Declare a new question at the next look, unless it was declared before.

    Returns:
        The result of the last round.

    Raises:
        OptionError: If the design has no looks.
        AttendetError: If data or models are missing, or another process is working on the study.
    """
    left, looks = limit, study.design.looks
    for number, seeds in enumerate(looks, start=1):
        result = run_study(study, executor, observer, left, seeds=seeds)
        left = None if left is None else left - result.started
        if result.failed or result.left:
            return result
        settled = is_settled(look_at(study.folder, read_study(study.folder), new_question=new_question))
        state = "settled" if settled else "not settled"
        observer.log(f"{state} with {plural(seeds, 'seed')}, at look {number} of {len(looks)}")
        if settled or number == len(looks):
            return result
    raise OptionError("looks must be given to run until settled, got none")


def require_planned_looks(study: Study) -> None:
    """Require that a study keeps its looks after its first run.

    Raises:
        OptionError: If a run has finished and the looks differ from its plan.
    """
    if not study.folder.study.exists():
        return
    records = read_study(study.folder)
    planned = records.study.design.looks
    if records.cells and planned != study.design.looks:
        raise OptionError(
            f"looks were fixed as {list(planned)} at the first run, got {list(study.design.looks)}",
            remedy=f"write looks: {list(planned)}, or declare a new question (--new-question)",
        )


def is_settled(report: StudyReport) -> bool:
    """Return whether every comparison of a report is decided."""
    return all(each.verdict not in ("not distinguishable", "open") for each in report.contrasts)
