"""Studies that stop at the first look at which everything is decided, with records instead of training."""

from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.study import looking
from attendet.study.design.schema import StudyDesign
from attendet.study.folder import StudyFolder, read_study
from attendet.study.ledger import read_ledger
from attendet.study.reporting.outcome import make_study_report
from attendet.study.runs.cell_records import failed_record
from attendet.study.runs.execution import Study, StudyRunResult
from attendet.study.runs.executors import LocalExecutor
from attendet.utils.records import write_record
from tests.helpers.small_studies import RecordingObserver
from tests.helpers.synthetic_studies import design, write_study

ARMS = "{baseline: , cbam: 'cbam@before:SPPF'}"


def planned(looks: tuple[int, ...] = (6, 8, 12), matters: float | None = None) -> StudyDesign:
    return design(ARMS, str(looks[-1])).model_copy(update={"looks": looks, "matters": matters})


def later_seeds(folder: StudyDesign, seeds: int) -> tuple[str, ...]:
    return tuple(f"{arm}-seed{seed}" for arm in folder.arms for seed in folder.seeds[seeds:])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a study whose effect is known until it is settled."""

    def run_until(design: StudyDesign, effect: float, limit: int | None = None) -> tuple[StudyRunResult, list[str]]:
        def run_study(study: Study, _: object, __: object, limit: int | None, *, seeds: int) -> StudyRunResult:
            write_study(tmp_path, design, {"cbam": effect}, noise=0.004, missing=later_seeds(design, seeds))
            finished = len(read_study(study.folder).cells)
            left = 0 if limit is None else max(0, finished - limit)
            return StudyRunResult(study.folder, finished, (), left, started=finished)

        monkeypatch.setattr(looking, "run_study", run_study)
        observer = RecordingObserver()
        study = Study(design, tmp_path, StudyFolder(tmp_path))
        return looking.run_until_settled(study, LocalExecutor(), observer, limit), observer.messages

    return run_until


def test_a_clear_effect_ends_at_the_first_look_that_can_decide(run, tmp_path: Path) -> None:
    result, messages = run(planned(), 0.05)
    assert result.finished == 16, "six of twelve seeds cannot reach their level"
    assert messages == ["not settled with 6 seeds, at look 1 of 3", "settled with 8 seeds, at look 2 of 3"]
    assert len(read_ledger(tmp_path / "ledger.jsonl").looks) == 2


def test_no_effect_runs_to_the_last_look(run) -> None:
    result, messages = run(planned(), 0.0)
    assert result.finished == 24
    assert messages[-1] == "not settled with 12 seeds, at look 3 of 3"


def test_no_effect_ends_when_it_is_shown_not_to_matter(run) -> None:
    result, messages = run(planned(matters=0.05), 0.0)
    assert result.finished == 16
    assert messages[-1] == "settled with 8 seeds, at look 2 of 3"


def test_a_limit_ends_the_call_before_the_look(run, tmp_path: Path) -> None:
    result, messages = run(planned(), 0.05, limit=3)
    assert (result.left, messages) == (9, [])
    assert not (tmp_path / "ledger.jsonl").exists()


def test_a_design_without_looks_is_refused(run) -> None:
    with pytest.raises(OptionError, match="looks must be given"):
        run(design(ARMS, "6"), 0.0)


def test_a_diverged_run_does_not_shift_the_looks(tmp_path: Path) -> None:
    folder = write_study(tmp_path, planned(), {"cbam": 0.05}, missing=later_seeds(planned(), 8))
    cell = next(cell for cell in read_study(folder).study.cells if cell.name == "baseline-seed2")
    write_record(folder.cell(cell.key), failed_record(cell, "the loss is nan", diverged=True))
    report = make_study_report(read_study(folder))
    assert report.seeds_considered == 8
    assert report.contrasts[0].seeds == (0, 1, 3, 4, 5, 6, 7)
    assert report.contrasts[0].decided_at == 8
    assert any("the other arm: 1 of 8" in remark for remark in report.remarks)


def test_an_early_decision_keeps_its_evidence(tmp_path: Path) -> None:
    design = planned((8, 12))
    folder = write_study(tmp_path, design, {"cbam": 0.05})
    records = read_study(folder)
    for cell in records.study.cells:
        if cell.arm == "cbam" and cell.seed >= 8:
            run = records.cells[cell.key]
            column = [None if value is None else value - 0.4 for value in run.history["metrics/mAP_0.5:0.95"]]
            write_record(
                folder.cell(cell.key),
                run.model_copy(update={"history": {**run.history, "metrics/mAP_0.5:0.95": column}}),
            )
    found = make_study_report(read_study(folder)).contrasts[0]
    assert (found.verdict, found.decided_at, found.n) == ("helps", 8, 8)
    assert found.difference is not None
    assert found.difference > 0
    assert found.p_adjusted <= found.level


def test_a_baseline_that_does_not_train_is_named(tmp_path: Path) -> None:
    plain = design(ARMS, "6")
    folder = write_study(tmp_path, plain, {})
    for cell in read_study(folder).study.cells:
        if cell.arm == "baseline":
            write_record(folder.cell(cell.key), failed_record(cell, "the loss is nan", diverged=True))
    report = make_study_report(read_study(folder))
    explanation = report.contrasts[0].explanation
    assert explanation == "cbam cannot be compared with baseline, which does not train: 6 of 6 runs diverged."
    assert any("6 of 6" in remark for remark in report.remarks)
