"""Verdicts, intervals, and p-values of studies whose true effects are known."""

import dataclasses

import pytest
from scipy import stats

from attendet.study.folder import read_study
from attendet.study.reporting.outcome import make_study_report
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
    assert found["cbam", "baseline"].p_holm == found["cbam", "baseline"].p_holm_floor == 4 / 2**8
    assert found["cbam", "control"].p_holm == 2 / 2**8
    assert report.complete
    assert report.remarks == ()


def test_no_effect_is_not_distinguishable_and_the_required_seeds_are_stated(tmp_path):
    found = contrasts(report_of(tmp_path))["cbam", "baseline"]
    assert found.verdict == "not distinguishable"
    low, high = not_none(found.interval)
    assert low < 0 < high
    # Two comparisons; with that many seeds, the test is close to that of a normal distribution.
    normal = (stats.norm.isf(0.05 / 2 / 2) + stats.norm.isf(0.2)) * not_none(found.spread) / not_none(found.difference)
    assert found.seeds_to_settle == pytest.approx(normal**2, rel=0.05)
    assert f"deciding it takes about {found.seeds_to_settle} seeds." in found.explanation


def test_differences_are_of_the_last_epochs_seed_by_seed(tmp_path):
    study = write_study(tmp_path, design(ARMS), {"cbam": 0.01})
    records = read_study(study)
    found = contrasts(make_study_report(records))["cbam", "baseline"]
    column = "metrics/mAP_0.5:0.95"
    for seed, difference in zip(found.seeds, found.differences, strict=True):
        runs = {run.arm: run for run in records.cells.values() if run.seed == seed}
        mine, other = (sum(map(not_none, runs[arm].history[column][-3:])) for arm in ("cbam", "baseline"))
        assert difference == pytest.approx((mine - other) / 3)


def test_large_differences_do_not_help_where_seeds_are_too_few(tmp_path):
    arms = "{base: , b: se@neck, c: eca@neck, d: cbam@neck, e: bam@neck, f: simam@neck}"
    report = report_of(tmp_path, arms, dict.fromkeys("bcdef", 0.2), seeds="6")
    assert {each.verdict for each in report.contrasts} == {"not distinguishable"}
    assert {each.p for each in report.contrasts} == {2 / 64}
    assert {each.p_holm for each in report.contrasts} == {10 / 64}
    assert "6 seeds cannot decide 5 comparisons" in report.remarks[0]
    assert "at least 8 seeds are needed to reach 0.05" in report.contrasts[0].explanation
    assert report.contrasts[0].seeds_to_settle == 8


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
    assert found["cbam", "baseline"].p_holm == 4 / 2**8


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
