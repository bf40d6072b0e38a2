"""Verdicts, intervals, and p-values of studies whose true effects are known."""

import dataclasses

import pytest
from scipy import stats

from attendet.study.folder import read_study
from attendet.study.reporting.outcome import make_study_report
from attendet.study.runs.cell_records import failed_record
from tests.helpers.synthetic_studies import design, write_study
from tests.helpers.typed_access import not_none
from tests.study.reporting.synthetic_reports import ARMS, contrasts, report_of


def test_positive_and_negative_effects_are_recognized(tmp_path):
    report = report_of(tmp_path, effects={"cbam": 0.03, "control": -0.03})
    found = contrasts(report)
    assert found["cbam", "baseline"].verdict == "helps"
    assert found["control", "baseline"].verdict == "hurts"
    assert found["cbam", "control"].verdict == "helps"
    low, high = not_none(found["cbam", "baseline"].interval)
    assert low < 0.03 < high
    assert found["cbam", "baseline"].p == found["cbam", "baseline"].p_floor == 2 / 2**8
    assert found["cbam", "baseline"].p_adjusted == found["cbam", "control"].p_adjusted == 2 / 2**8
    assert report.complete
    assert report.remarks == ()


def test_no_effect_is_not_distinguishable_and_its_outlook_is_stated_only_beyond_a_standard_error(tmp_path):
    found = contrasts(report_of(tmp_path))
    for each in found.values():
        assert each.verdict == "not distinguishable"
        low, high = not_none(each.interval)
        assert low < 0 < high
        small = abs(not_none(each.difference)) < not_none(each.spread) / 8**0.5
        assert (each.settle_probability is None) == small
        assert ("the probability of a decision" in each.explanation) == (not small)


def test_what_matters_has_its_own_verdicts(tmp_path):
    matters = design(ARMS).model_copy(update={"matters": 0.02})
    study = write_study(tmp_path, matters, {"cbam": 0.06, "control": 0.001}, noise=0.003)
    report = make_study_report(read_study(study))
    found = contrasts(report)
    assert found["cbam", "baseline"].verdict == "helps considerably"
    assert "cbam helps by at least 0.02: +0.0" in found["cbam", "baseline"].explanation
    assert found["control", "baseline"].verdict == "no difference that matters"
    low, high = not_none(found["control", "baseline"].equivalence_interval)
    assert -0.02 < low < high < 0.02
    assert report.answer.startswith("cbam helps by at least 0.02")
    undecided = design(ARMS).model_copy(update={"matters": 0.001})
    study = write_study(tmp_path / "open", undecided, {"control": 0.001}, noise=0.01)
    assert contrasts(make_study_report(read_study(study)))["control", "baseline"].verdict == "open"


def test_looks_use_only_the_seeds_of_the_last_complete_look(tmp_path):
    planned = design(ARMS, "12").model_copy(update={"looks": (6, 8, 12)})
    missing = tuple(f"{arm}-seed{seed}" for arm in ("baseline", "cbam", "control") for seed in range(9, 12))
    study = write_study(tmp_path, planned, {"cbam": 0.05}, missing=missing)
    report = make_study_report(read_study(study))
    found = contrasts(report)["cbam", "baseline"]
    assert found.seeds == tuple(range(8))
    assert found.level < 0.05
    assert (found.verdict, found.decided_at) == ("helps", 8)
    assert "level 0.0" in found.explanation
    assert "provisional" not in "".join(report.remarks)
    assert "3 finished runs are of an incomplete look, and not considered" in report.remarks
    before = tuple(f"{arm}-seed{seed}" for arm in ("baseline", "cbam", "control") for seed in range(5, 12))
    study = write_study(tmp_path / "early", planned, {"cbam": 0.05}, missing=before)
    found = contrasts(make_study_report(read_study(study)))["cbam", "baseline"]
    assert (found.verdict, found.level) == ("not distinguishable", 0.0)
    assert "The first look is at 6 seeds." in found.explanation


def test_differences_are_of_the_last_epochs_seed_by_seed(tmp_path):
    study = write_study(tmp_path, design(ARMS), {"cbam": 0.01})
    records = read_study(study)
    found = contrasts(make_study_report(records))["cbam", "baseline"]
    column = "metrics/mAP_0.5:0.95"
    for seed, difference in zip(found.seeds, found.differences, strict=True):
        runs = {run.arm: run for run in records.cells.values() if run.seed == seed}
        mine, other = (sum(map(not_none, runs[arm].history[column][-3:])) for arm in ("cbam", "baseline"))
        assert difference == pytest.approx((mine - other) / 3)


def test_large_differences_do_not_help_where_seeds_are_too_few_and_six_are_enough_for_five_arms(tmp_path):
    arms = "{base: , b: se@neck, c: eca@neck, d: cbam@neck, e: bam@neck, f: simam@neck}"
    report = report_of(tmp_path, arms, dict.fromkeys("bcdef", 0.2), seeds="5")
    assert {each.verdict for each in report.contrasts} == {"not distinguishable"}
    assert {each.p_adjusted for each in report.contrasts} == {2 / 32}
    assert "5 seeds cannot decide anything" in report.remarks[0]
    assert "6 seeds can" in report.contrasts[0].explanation
    report = report_of(tmp_path / "six", arms, dict.fromkeys("bcdef", 0.2), seeds="6")
    assert {each.verdict for each in report.contrasts} == {"helps"}
    assert {each.p_adjusted for each in report.contrasts} == {2 / 64}


def test_missing_and_failed_runs_are_reported_and_the_others_count(tmp_path):
    report = report_of(tmp_path, effects={"cbam": 0.05}, missing=("cbam-seed3",), failed=("control-seed0",))
    found = contrasts(report)
    assert found["cbam", "baseline"].seeds == (0, 1, 2, 4, 5, 6, 7)
    assert found["cbam", "control"].seeds == (1, 2, 4, 5, 6, 7)
    assert (report.planned, report.finished, report.complete) == (24, 22, False)
    assert [failure.cell for failure in report.failures] == ["control-seed0"]
    assert report.remarks[0].startswith("2 of 24 runs are missing, 1 of them failed: the verdicts are provisional")
    arm = next(arm for arm in report.arms if arm.name == "control")
    assert (arm.planned, arm.finished, arm.failed) == (8, 7, 1)


def test_an_arm_without_pairs_counts_among_the_comparisons(tmp_path):
    gone = tuple(f"control-seed{seed}" for seed in range(8))
    found = contrasts(report_of(tmp_path, effects={"cbam": 0.05}, missing=gone))
    assert (found["control", "baseline"].n, found["control", "baseline"].p) == (0, 1.0)
    assert "no seed has both runs" in found["control", "baseline"].explanation
    assert found["cbam", "baseline"].p_adjusted == 2 / 2**8


def test_one_seed_has_no_interval(tmp_path):
    found = contrasts(report_of(tmp_path, effects={"cbam": 0.3}, seeds="1"))["cbam", "baseline"]
    assert (found.n, found.interval, found.spread, found.p) == (1, None, None, 1.0)
    assert found.verdict == "not distinguishable"
    assert "one seed does not show the variation between seeds" in found.explanation


def test_equal_runs_are_reported_as_equal(tmp_path):
    study = write_study(tmp_path, design("{a: , b: control-identity@neck}", "6"), {})
    records = read_study(study)
    copies = {run.seed: run.model_copy(update={"arm": "b"}) for run in records.cells.values() if run.arm == "a"}
    cells = {key: copies[run.seed] if run.arm == "b" else run for key, run in records.cells.items()}
    found = make_study_report(dataclasses.replace(records, cells=cells)).contrasts[0]
    assert (found.difference, found.p, found.interval) == (0.0, 1.0, (0.0, 0.0))
    assert "Both arms have the same score for every seed." in found.explanation


def test_an_arm_that_diverges_half_of_the_time_does_not_train(tmp_path):
    study = write_study(tmp_path, design(ARMS), {"cbam": 0.05})
    records = read_study(study)
    lost = {cell.key: cell for cell in records.study.cells if cell.arm == "cbam" and cell.seed < 5}
    lost |= {cell.key: cell for cell in records.study.cells if cell.arm == "control" and cell.seed == 0}
    cells = {
        key: failed_record(lost[key], "the loss is nan", diverged=True) if key in lost else run
        for key, run in records.cells.items()
    }
    report = make_study_report(dataclasses.replace(records, cells=cells))
    found = contrasts(report)
    assert found["cbam", "baseline"].verdict == "does not train"
    table = [[5, 3], [0, 8]]
    assert found["cbam", "baseline"].divergence.p == pytest.approx(stats.fisher_exact(table)[1])
    assert "cbam does not train: 5 of 8 runs diverged (the other arm: 0 of 8" in found["cbam", "baseline"].explanation
    assert found["control", "baseline"].verdict != "does not train"
    assert found["control", "baseline"].seeds == (1, 2, 3, 4, 5, 6, 7)
    assert report.remarks[0].startswith("control: 1 of 8 runs diverged")
    assert report.complete
    assert report.answer.startswith("Cbam does not train") or "cbam does not train" in report.answer
