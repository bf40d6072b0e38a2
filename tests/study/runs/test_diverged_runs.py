"""A run that diverges is recorded once and not repeated, unlike a run that failed because of the machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attendet.errors import DivergenceError, TrainingError
from attendet.study.folder import read_study
from attendet.study.runs.execution import Study, run_study
from attendet.study.runs.executors import Executor, LocalExecutor
from attendet.study.runs.job import RunFailure, run_job
from attendet.study.runs.process_executor import ProcessExecutor
from attendet.training.reporter import NullReporter
from tests.helpers.parsed_html import ParsedHtml
from tests.helpers.small_studies import FailingExecutor, RecordingObserver, open_study, write_small
from tests.helpers.small_training import skip_plots
from tests.helpers.typed_access import not_none

ARMS = """
  calm: {recipe: {optimizer.lr0: 0.01}}
  wild: {recipe: {optimizer.lr0: 1.0e+30}}
"""


@pytest.fixture(autouse=True)
def _undrawn() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        yield


def diverging_study(folder: Path) -> Study:
    file = write_small(folder, ARMS, epochs=3)
    recipe = "optimizer.name: SGD, optimizer.warmup_epochs: 0, hardware.precision: 32-true"
    file.write_text(file.read_text().replace("recipe: {schedule", f"recipe: {{{recipe}, schedule"))
    return open_study(file)


@pytest.mark.parametrize("executor", [LocalExecutor(), ProcessExecutor(1)], ids=["local", "processes"])
def test_a_run_that_diverges_has_a_record_and_is_not_repeated(tmp_path: Path, executor: Executor) -> None:
    study, observer = diverging_study(tmp_path), RecordingObserver()
    result = run_study(study, executor, observer)
    assert (result.finished, result.failed, result.diverged, result.left) == (1, (), 1, 0)
    assert {record.arm: record.status for record in observer.records} == {"calm": "finished", "wild": "diverged"}
    records = read_study(study.folder)
    assert records.problems == ()
    (wild,) = (record for record in records.cells.values() if record.arm == "wild")
    assert wild.status == "diverged"
    assert "finite" in not_none(wild.error) or "the loss is nan" in not_none(wild.error)

    again = FailingExecutor()
    result = run_study(study, again, RecordingObserver())
    assert again.asked == []
    assert (result.finished, result.failed, result.diverged, result.left) == (1, (), 1, 0)
    _, cells = study.cells()
    assert {record.arm for record in study.finished(cells).values()} == {"calm"}


def test_the_error_of_a_diverged_run_has_a_class_of_its_own(tmp_path: Path) -> None:
    study = diverging_study(tmp_path)
    wild = next(cell for cell in study.cells()[1] if cell.arm == "wild")
    with pytest.raises(DivergenceError) as error:
        run_job(study.job(wild), NullReporter())
    assert isinstance(error.value, TrainingError)


def test_a_run_that_failed_may_diverge_when_it_is_tried_again(tmp_path: Path) -> None:
    study = diverging_study(tmp_path)
    first = run_study(study, FailingExecutor(), RecordingObserver())
    assert (first.diverged, [name for name, _ in first.failed]) == (0, ["calm-seed0", "wild-seed0"])
    second = run_study(study, LocalExecutor(), RecordingObserver())
    assert (second.finished, second.failed, second.diverged) == (1, (), 1)
    assert second.to_dict()["diverged"] == 1
    assert ["diverged", "1"] in ParsedHtml(second._repr_html_()).rows


@pytest.mark.parametrize("text", ["", "[]", "Killed", '{"message": "a"}'])
def test_other_output_of_a_process_is_not_taken_for_a_failure(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the class is the promise
        RunFailure.from_json(text)
