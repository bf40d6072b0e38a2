"""The ledger records looks, and a report lists all changes after looking."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from attendet import study
from attendet.errors import OptionError
from attendet.study.design.design_file import read_design
from attendet.study.design.grid import Cell
from attendet.study.folder import StudyFolder, read_study
from attendet.study.ledger import read_ledger
from attendet.study.looking import require_planned_looks
from attendet.study.records import StudyRecord
from attendet.study.reporting.outcome import StudyReport
from attendet.study.runs.execution import Study
from attendet.utils.records import read_record, write_record
from tests.helpers.synthetic_studies import design, write_study
from tests.helpers.typed_access import not_none

FIRST = Path(__file__).parents[2] / "docs" / "studies" / "first"
FIVE = "{base: , b: se@neck, c: eca@neck, d: cbam@neck, e: bam@neck, f: simam@neck}"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A copy of the records of the first study, without its ledger."""
    folder = tmp_path / "first"
    shutil.copytree(FIRST, folder)
    (folder / "ledger.jsonl").unlink(missing_ok=True)
    return folder


def redesign(folder: Path, text: str) -> None:
    """Write the plan that `attendet study run` would write for a changed study.yaml whose runs are all finished."""
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    planned = read_design(file)
    before = read_record(folder / "study.json", StudyRecord)
    known: dict[tuple[str, int], Cell] = {(cell.arm, cell.seed): cell for cell in before.cells}
    cells = tuple(known[arm, seed] for seed in planned.seeds for arm in planned.arms)
    write_record(folder / "study.json", StudyRecord(design=planned, data=before.data, cells=cells))


def changed(folder: Path, old: str, new: str) -> StudyReport:
    text = (folder / "study.yaml").read_text(encoding="utf-8")
    assert old in text
    redesign(folder, text.replace(old, new))
    return study.report(folder).report


def contrast(report: StudyReport, arm: str):
    return next(each for each in report.contrasts if each.arm == arm)


def test_dropping_four_arms_changes_no_p_value_and_is_reported(first: Path) -> None:
    before = contrast(study.report(first).report, "cbam-neck")
    lines = (first / "study.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.lstrip().startswith(("cbam-sppf", "cbam-c3", "conv-neck", "se-neck"))]
    text = "\n".join(kept).replace("{attention: cbam:reduction=8@neck, control: conv-neck}", "cbam:reduction=8@neck")
    redesign(first, text)
    report = study.report(first).report
    after = contrast(report, "cbam-neck")
    assert after.p_adjusted == before.p_adjusted > 0.05 >= after.p
    assert after.verdict == "not distinguishable"
    assert report.header.look == 2
    history = "\n".join(report.history)
    assert "4 arms were dropped since look 1: cbam-sppf, cbam-c3, conv-neck, se-neck" in history
    assert "32 finished runs are not in this design" in history

    declared = study.report(first, new_question=True).report
    assert contrast(declared, "cbam-neck").p_adjusted == after.p
    assert "look 3 declared a new question about the same runs: the runs of cbam-c3" in "\n".join(declared.history)
    lines = (first / "ledger.jsonl").read_text().splitlines()
    again = study.report(first, new_question=True).report
    assert (again.header.look, declared.header.look) == (3, 3)
    assert (first / "ledger.jsonl").read_text().splitlines() == lines, "declaring it again changes nothing"
    assert "32 finished runs are not in this design" in "\n".join(declared.history)


def test_dropping_seeds_and_changing_the_metric_are_reported(first: Path) -> None:
    study.report(first)
    report = changed(first, "seeds: 8", "seeds: [0, 1, 3, 4, 5, 7]")
    assert "2 seeds were dropped since look 1: 2, 6" in report.history
    report = changed(first, "metric: map50_95", "metric: recall")
    assert "the metric was mAP50-95 at look 1 and is recall now" in report.history
    report = changed(first, "last_epochs: 3", "last_epochs: 1")
    assert "the number of last epochs was 3 at look 1 and is 1 now" in report.history
    assert report.header.look == 4


def test_adding_seeds_after_a_look_is_reported_unless_looks_were_planned(tmp_path: Path) -> None:
    for name, looks in (("naive", ()), ("planned", (6, 8))):
        folder = tmp_path / name
        fewer = design("{a: , b: se@neck}", "6")
        write_study(folder, fewer.model_copy(update={"looks": (6,) if looks else ()}), {})
        study.report(folder)
        write_study(folder, design("{a: , b: se@neck}", "8").model_copy(update={"looks": looks}), {})
        if looks:
            with pytest.raises(OptionError, match=r"looks were fixed as \[6\] at the first look, got \[6, 8\]"):
                study.report(folder)
        else:
            history = "\n".join(study.report(folder).report.history)
            assert "2 seeds were added after look 1: with repeated looks, verdicts are wrong more often" in history


def test_a_repeated_look_is_not_another_look(first: Path) -> None:
    for _ in range(2):
        study.report(first)
    report = study.report(first).report
    assert report.header.look == 1
    assert report.history == ()
    assert len((first / "ledger.jsonl").read_text().splitlines()) == 1


def test_an_edited_ledger_and_a_damaged_line_are_remarks(first: Path) -> None:
    study.report(first)
    changed(first, "metric: map50_95", "metric: map50")
    changed(first, "metric: map50\n", "metric: recall\n")
    ledger = first / "ledger.jsonl"
    lines = ledger.read_text().splitlines()
    assert [json.loads(line)["metric"] for line in lines] == ["map50_95", "map50", "recall"]
    ledger.write_text("\n".join([lines[0], lines[2]]) + "\n")
    assert read_ledger(ledger).problems == ("ledger.jsonl was changed: line 2 does not follow the line before it",)
    assert "ledger.jsonl was changed" in "\n".join(study.report(first).report.remarks)
    ledger.write_text("{}\nnothing\n")
    assert len(read_ledger(ledger).problems) == 2


def test_arms_that_were_run_count_even_if_the_ledger_is_lost(first: Path) -> None:
    before = contrast(study.report(first).report, "cbam-c3")
    changed(first, "  se-neck: se:reduction=8@neck\n", "")
    (first / "ledger.jsonl").unlink()
    report = study.report(first).report
    assert contrast(report, "cbam-c3").p_adjusted == before.p_adjusted
    assert report.history == ("8 finished runs are not in this design; se-neck still counts for the adjustment",)


def test_records_outside_of_the_plan_are_read(tmp_path: Path) -> None:
    folder = write_study(tmp_path, design(FIVE, "6"), {})
    write_record(folder.study, StudyRecord(**{**read_study(folder).study.__dict__, "cells": ()}))
    assert len(read_study(StudyFolder(tmp_path)).outside) == 36
    assert {not_none(record.best).map50_95 > 0 for record in read_study(folder).outside.values()} == {True}


def test_an_arm_without_a_recorded_identity_is_recognized_by_its_name_and_a_renamed_one_by_its_identity(
    tmp_path: Path,
) -> None:
    planned = design("{a: , b: se@neck}", "6")
    write_study(tmp_path, planned, {})
    record = read_record(tmp_path / "study.json", StudyRecord)
    old = record.model_copy(update={"cells": tuple(replace(cell, identity="") for cell in record.cells)})
    write_record(tmp_path / "study.json", old)
    study.report(tmp_path)
    write_record(tmp_path / "study.json", record)
    assert study.report(tmp_path).report.history == ()
    for arms in ("{a: , b: se@neck}", "{a: , c: se@neck}"):
        write_study(tmp_path / "renamed", design(arms, "6"), {})
        assert study.report(tmp_path / "renamed").report.history == ()


def test_runs_of_dropped_arms_that_were_deleted_are_reported(first: Path) -> None:
    study.report(first)
    se = [cell.key for cell in read_study(StudyFolder(first)).study.cells if cell.arm == "se-neck"]
    changed(first, "  se-neck: se:reduction=8@neck\n", "")
    for key in se:
        (first / "cells" / f"{key}.json").unlink()
    history = study.report(first).report.history
    assert "the runs of se-neck were removed from the folder, so they cannot count for the adjustment" in history


def test_looks_cannot_be_changed_after_the_first_run_even_before_a_report(tmp_path: Path) -> None:
    planned = design("{a: , b: se@neck}", "8").model_copy(update={"looks": (6, 8)})
    folder = write_study(tmp_path, planned, {})
    changed_looks = planned.model_copy(update={"looks": (7, 8)})
    with pytest.raises(OptionError, match=r"looks were fixed as \[6, 8\] at the first run, got \[7, 8\]"):
        require_planned_looks(Study(changed_looks, tmp_path, folder))
    require_planned_looks(Study(planned, tmp_path, folder))
