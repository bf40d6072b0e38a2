"""What a report says of studies whose truth is known, from records alone."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from attendet.errors import DataError
from attendet.study.design.grid import Cell
from attendet.study.folder import StudyFolder, read_cell, read_study
from attendet.study.records import CellRecord
from attendet.study.reporting.html import html_report
from attendet.study.reporting.markdown import markdown_report
from attendet.study.reporting.outcome import make_study_report
from attendet.study.reporting.publishing import publish_report
from attendet.study.reporting.run_scores import last_epochs
from attendet.study.runs.collection import cell_record
from attendet.training.run_folder import RunFolder, RunRecord, write_results
from attendet.utils.records import write_record
from tests.helpers.synthetic_studies import design, record, write_study

ARMS = "{baseline: , cbam: {attention: 'cbam@before:SPPF', control: control}, control: 'control-conv1x1@before:SPPF'}"


def report_of(folder, arms=ARMS, effects=None, seeds="8", **others):
    return make_study_report(read_study(write_study(folder, design(arms, seeds), effects or {}, **others)))


def contrasts(report):
    return {(each.arm, each.against): each for each in report.contrasts}


def test_what_helps_helps_and_what_hurts_hurts(tmp_path):
    report = report_of(tmp_path, effects={"cbam": 0.03, "control": -0.03})
    found = contrasts(report)
    assert found["cbam", "baseline"].verdict == "helps"
    assert found["control", "baseline"].verdict == "hurts"
    assert found["cbam", "control"].verdict == "helps"
    low, high = found["cbam", "baseline"].interval
    assert low < 0.03 < high
    assert found["cbam", "baseline"].p == found["cbam", "baseline"].p_floor == 2 / 2**8
    assert found["cbam", "baseline"].p_holm == found["cbam", "baseline"].p_holm_floor == 4 / 2**8
    assert found["cbam", "control"].p_holm == 2 / 2**8
    assert report.complete
    assert report.remarks == ()


def test_what_does_nothing_is_not_distinguishable_and_says_what_would_settle_it(tmp_path):
    found = contrasts(report_of(tmp_path))["cbam", "baseline"]
    assert found.verdict == "not distinguishable"
    assert found.interval[0] < 0 < found.interval[1]
    # Two comparisons; with so many seeds the test is about that of a normal distribution.
    normal = (stats.norm.isf(0.05 / 2 / 2) + stats.norm.isf(0.2)) * found.spread / found.difference
    assert found.seeds_to_settle == pytest.approx(normal**2, rel=0.05)
    assert f"about {found.seeds_to_settle} seeds would settle it" in found.explanation


def test_differences_are_those_of_last_epochs_seed_by_seed(tmp_path):
    study = write_study(tmp_path, design(ARMS), {"cbam": 0.01})
    records = read_study(study)
    found = contrasts(make_study_report(records))["cbam", "baseline"]
    column = "metrics/mAP_0.5:0.95"
    for seed, difference in zip(found.seeds, found.differences, strict=True):
        mine, other = (
            next(run for run in records.cells.values() if (run.arm, run.seed) == (arm, seed)).history[column][-3:]
            for arm in ("cbam", "baseline")
        )
        assert difference == pytest.approx((sum(mine) - sum(other)) / 3)


def test_large_differences_do_not_help_where_seeds_are_too_few(tmp_path):
    arms = "{base: , b: se@neck, c: eca@neck, d: cbam@neck, e: bam@neck, f: simam@neck}"
    report = report_of(tmp_path, arms, dict.fromkeys("bcdef", 0.2), seeds="6")
    assert {each.verdict for each in report.contrasts} == {"not distinguishable"}
    assert {each.p for each in report.contrasts} == {2 / 64}
    assert {each.p_holm for each in report.contrasts} == {10 / 64}
    assert "6 seeds cannot decide 5 comparisons" in report.remarks[0]
    assert "it takes 8 seeds to reach 0.05" in report.contrasts[0].explanation
    assert report.contrasts[0].seeds_to_settle == 8


def test_missing_and_failed_runs_are_told_and_leave_the_others_standing(tmp_path):
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


def test_one_seed_says_nothing_about_chance(tmp_path):
    found = contrasts(report_of(tmp_path, effects={"cbam": 0.3}, seeds="1"))["cbam", "baseline"]
    assert (found.n, found.interval, found.spread, found.p) == (1, None, None, 1.0)
    assert found.verdict == "not distinguishable"
    assert "one seed says nothing" in found.explanation


def test_equal_runs_are_said_to_be_the_same(tmp_path):
    study = write_study(tmp_path, design("{a: , b: control-identity@neck}", "6"), {})
    records = read_study(study)
    twins = {run.seed: run.model_copy(update={"arm": "b"}) for run in records.cells.values() if run.arm == "a"}
    cells = {key: twins[run.seed] if run.arm == "b" else run for key, run in records.cells.items()}
    found = make_study_report(dataclasses.replace(records, cells=cells)).contrasts[0]
    assert (found.difference, found.p, found.interval) == (0.0, 1.0, (0.0, 0.0))
    assert "Seed by seed both scored the same." in found.explanation


def test_runs_that_are_no_pairs_are_told(tmp_path):
    study = write_study(tmp_path, design(ARMS), {})
    cell = next(cell for cell in read_study(study).study.cells if cell.name == "cbam-seed2")
    run = read_cell(study, cell.key)
    other = {"order": "another", "initialization": {"model.0.conv": "another"}, "device": "GPU"}
    write_record(study.cell(cell.key), run.model_copy(update=other))
    told = "\n".join(make_study_report(read_study(study)).remarks)
    assert "cbam, seed 2: it saw other images than baseline with seed 2, or in another order" in told
    assert "1 of 1 layers began with other weights than those of baseline with seed 2, such as model.0.conv" in told
    assert "runs were made on 2 different devices" in told


def test_damaged_records_are_named_and_left_out(tmp_path):
    study = write_study(tmp_path, design(ARMS), {})
    cells = {cell.name: study.cell(cell.key) for cell in read_study(study).study.cells}
    whole = cells["cbam-seed0"].read_text(encoding="utf-8")
    cells["cbam-seed0"].write_text(whole[:500], encoding="utf-8")
    cells["cbam-seed1"].write_text(whole, encoding="utf-8")
    cells["cbam-seed2"].write_text(whole.replace('"status": "finished"', '"status": "wonderful"'), encoding="utf-8")
    cells["cbam-seed3"].write_text("[" * 100_000, encoding="utf-8")
    cells["cbam-seed4"].write_bytes(b"\xff" * 20_000_000)
    cells["cbam-seed5"].unlink()
    cells["cbam-seed5"].mkdir()
    records = read_study(study)
    assert len(records.cells) == 24 - 6
    assert [problem.split(":")[0] for problem in records.problems] == [f"cbam-seed{seed}" for seed in range(6)]
    assert contrasts(make_study_report(records))["cbam", "baseline"].seeds == (6, 7)
    assert read_cell(study, cells["cbam-seed0"].stem) is read_cell(study, cells["cbam-seed1"].stem) is None
    assert read_cell(study, cells["cbam-seed6"].stem).seed == 6


def test_arms_keep_their_runs_under_a_new_name(tmp_path):
    study = write_study(tmp_path, design(ARMS), {"cbam": 0.03})
    text = (
        study.study.read_text(encoding="utf-8")
        .replace('"cbam":', '"attention":')
        .replace('"arm": "cbam"', '"arm": "attention"')
    )
    study.study.write_text(text, encoding="utf-8")
    found = contrasts(make_study_report(read_study(study)))
    assert found["attention", "baseline"].n == 8


def test_no_study_and_a_damaged_plan_are_errors(tmp_path):
    with pytest.raises(DataError, match="there is no study here"):
        read_study(StudyFolder(tmp_path))
    study = write_study(tmp_path / "b", design(ARMS), {})
    study.study.write_text("{}", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"study\.json: the record is damaged: `design`: field required; remove the file"
    ):
        read_study(study)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"arm": "cbam"', '"arm": "other"'),
        ('"baseline": "baseline"', '"baseline": "other"'),
        ('"control": "control"', '"control": "other"'),
    ],
)
def test_a_plan_whose_names_do_not_agree_is_an_error(tmp_path, old, new):
    study = write_study(tmp_path, design(ARMS), {})
    text = study.study.read_text(encoding="utf-8")
    assert old in text
    study.study.write_text(text.replace(old, new), encoding="utf-8")
    message = r"study\.json: the record is damaged: there is no arm 'other'; remove the file"
    with pytest.raises(DataError, match=message):
        read_study(study)


def test_runs_without_losses_of_a_split_have_no_gap_of_losses(tmp_path):
    study = write_study(tmp_path, design(ARMS), {})
    for path in (tmp_path / "cells").iterdir():
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["history"] = {name: column for name, column in fields["history"].items() if not name.startswith("val/")}
        path.write_text(json.dumps(fields), encoding="utf-8")
    report = make_study_report(read_study(study))
    assert report.complete
    assert [arm.loss_gap for arm in report.arms] == [None] * 3


def test_all_is_published_from_records_alone_and_the_page_needs_nothing_else(tmp_path):
    planned = design(ARMS, "6", "[0.5, 1]")
    study = write_study(tmp_path / "study", planned, {"cbam": 0.03}, failed=("control-seed0",))
    first = publish_report(study)
    assert set(first.figures) == {"differences", "curves", "costs", "data", "gap"}
    moved = tmp_path / "moved"
    shutil.copytree(study.path / "cells", moved / "cells")
    for name in ("study.json", "costs.json"):
        shutil.copy(study.path / name, moved)
    again = publish_report(StudyFolder(moved), tmp_path / "out")
    for name in ("json", "markdown", "html"):
        assert getattr(first, name).read_bytes() == getattr(again, name).read_bytes()
    html = first.html.read_text(encoding="utf-8")
    assert html.count('src="data:image/png;base64,') == 5
    assert not re.search(r"<script|<link|(?:src|href)=[\"'](?!data:)|url\(|@import", html)


def test_report_json_has_what_it_promises(tmp_path):
    study = write_study(tmp_path, design(ARMS, "6"), {"cbam": 0.03})
    records = read_study(study)
    found = json.loads(json.dumps(make_study_report(records).to_dict()), parse_constant=pytest.fail)
    promised = {"arm", "difference", "interval", "p", "p_floor", "p_holm", "n", "verdict"}
    assert all(promised <= contrast.keys() for contrast in found["contrasts"])
    assert [arm["name"] for arm in found["arms"]] == ["baseline", "cbam", "control"]
    arm = found["arms"][1]
    assert {part["name"] for part in arm["classes"]} == {"RBC", "WBC", "Platelets"}
    assert [part["name"] for part in arm["sizes"]] == ["small", "medium"]
    assert arm["gap"]["mean"] == pytest.approx(0.06, abs=0.02)
    mine, other = (
        {run.seed: run.train.map50_95 - run.best.map50_95 for run in records.cells.values() if run.arm == name}
        for name in ("cbam", "baseline")
    )
    assert arm["gap_difference"] == pytest.approx(np.mean([mine[seed] - other[seed] for seed in mine]))
    assert found["arms"][0]["gap_difference"] is None
    assert (found["measured_on"], found["measured_size"]) == ("CPU (2 threads)", 320)
    assert arm["loss_gap"]["mean"] == pytest.approx(0.03)
    assert arm["best_epoch"]["mean"] >= arm["score"]["mean"]
    assert arm["costs"]["latency"][1]["batch"] == 16


def test_tables_say_what_their_numbers_are_of(tmp_path):
    planned = design(ARMS, "6", "[0.5, 1]")
    study = write_study(tmp_path, planned, {}, missing=("cbam-seed3", "cbam-0.5-seed1"))
    text = markdown_report(make_study_report(read_study(study)), {})
    # Means are of the seeds with all images, and of no others.
    assert "| cbam | cbam@before:SPPF | 5 of 6 |" in text
    assert "34 of 36 runs finished" in text
    assert "on CPU (2 threads), each arm at its own training size, 320 pixels for baseline" in text
    study.costs.unlink()
    assert "Latency and memory were not measured" in markdown_report(make_study_report(read_study(study)), {})


def test_names_of_classes_are_text_on_the_page_and_in_markdown(tmp_path):
    study = write_study(tmp_path, design("{a: , b: se@neck}", "2"), {})
    for path in (tmp_path / "cells").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("RBC", "<script>x|y"), encoding="utf-8")
    report = make_study_report(read_study(study))
    html, text = html_report(report, {}), markdown_report(report, {})
    assert "<script" not in html
    assert "&lt;script&gt;x|y" in html
    assert r"\<script\>x\|y" in text


def test_a_study_of_which_nothing_is_finished_can_be_reported(tmp_path):
    planned = design("{a: , b: se@neck}", "2")
    names = ("a-seed0", "a-seed1", "b-seed0", "b-seed1")
    published = publish_report(write_study(tmp_path, planned, {}, missing=names))
    assert published.figures == {}
    assert "4 of 4 runs are missing" in published.markdown.read_text(encoding="utf-8")


def test_a_run_becomes_a_record(tmp_path):
    folder = RunFolder(tmp_path / "run")
    metrics = record(Cell("a", 0, 1.0, "k"), 0.4, np.random.default_rng(0)).best.model_dump()
    run = RunRecord(
        command=("train",),
        configuration={},
        recipe={},
        model={"parameters": 7, "gflops": 0.5},
        names=("RBC", "WBC", "Platelets"),
        data={"train": {"images": 9}, "val": {"images": 4}},
        versions={"torch": "2"},
        git=None,
        device="CPU",
        seconds={"training": 3.0},
        epochs=2,
        best_epoch=2,
        metrics={**metrics, "confusion": [[1]], "images": 4, "objects": 9},
        finished=True,
        initialization={"model.0.conv": "w"},
        order="o",
    )
    columns = ("metrics/precision", "metrics/recall", "metrics/mAP_0.5", "metrics/mAP_0.5:0.95")
    unmeasured = {"epoch": 1, **dict.fromkeys(columns, float("nan"))}
    write_results(folder, [unmeasured, {"epoch": 2, **dict.fromkeys(columns, 0.5), "metrics/mAP_0.5:0.95": 0.25}])
    write_record(folder.record, run)
    cell = Cell("a", 0, 1.0, "k")
    found = cell_record(cell, folder)
    assert found.history["metrics/mAP_0.5"] == [None, 0.5]
    assert last_epochs(found, "map50_95", 3) == 0.25
    assert (found.parameters, found.images) == (7, {"train": 9, "val": 4})
    assert (found.order, found.initialization) == ("o", {"model.0.conv": "w"})
    assert CellRecord.model_validate_json(found.model_dump_json()) == found
    write_record(folder.record, run.model_copy(update={"finished": False}))
    with pytest.raises(DataError, match="did not come to its end"):
        cell_record(cell, folder)
    write_record(folder.record, run.model_copy(update={"metrics": {"map50": 1}}))
    with pytest.raises(DataError, match="the record is not that of a training run: 'map75'"):
        cell_record(cell, folder)
    write_record(folder.record, run)
    folder.results.write_text("epoch\nx\n", encoding="utf-8")
    with pytest.raises(DataError, match="it is no table of epochs"):
        cell_record(cell, folder)
