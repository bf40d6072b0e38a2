"""Published reports of studies, made from records alone."""

import json
import re
import shutil

import numpy as np
import pytest

from attendet.study.folder import StudyFolder, read_cell, read_study
from attendet.study.reporting.outcome import make_study_report
from attendet.study.reporting.publishing import html_report, markdown_report, publish_report
from attendet.utils.records import write_record
from tests.helpers.synthetic_studies import design, write_study
from tests.helpers.typed_access import not_none
from tests.study.reporting.synthetic_reports import ARMS


def test_runs_that_do_not_pair_are_reported(tmp_path):
    study = write_study(tmp_path, design(ARMS), {})
    cell = next(cell for cell in read_study(study).study.cells if cell.name == "cbam-seed2")
    run = not_none(read_cell(study, cell.key))
    other = {"order": "another", "initialization": {"model.0.conv": "another"}, "device": "GPU"}
    write_record(study.cell(cell.key), run.model_copy(update=other))
    remarks = "\n".join(make_study_report(read_study(study)).remarks)
    assert "cbam, seed 2: not a pair: it saw other images than baseline with seed 2, or in another order" in remarks
    assert "1 of 1 layers had other initial weights than in baseline with seed 2, such as model.0.conv" in remarks
    assert "runs were made on 2 different devices" in remarks


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
    promised = {"arm", "difference", "interval", "p", "p_floor", "p_adjusted", "level", "n", "verdict"}
    assert found["answer"].startswith("cbam helps (+0.03")
    assert found["header"]["images"] == {"train": 205, "val": 87}
    assert all(promised <= contrast.keys() for contrast in found["contrasts"])
    assert [arm["name"] for arm in found["arms"]] == ["baseline", "cbam", "control"]
    arm = found["arms"][1]
    assert {part["name"] for part in arm["classes"]} == {"RBC", "WBC", "Platelets"}
    assert [part["name"] for part in arm["sizes"]] == ["small", "medium"]
    assert arm["gap"]["mean"] == pytest.approx(0.06, abs=0.02)
    mine, other = (
        {
            run.seed: not_none(run.train).map50_95 - not_none(run.best).map50_95
            for run in records.cells.values()
            if run.arm == name
        }
        for name in ("cbam", "baseline")
    )
    assert arm["gap_difference"] == pytest.approx(np.mean([mine[seed] - other[seed] for seed in mine]))
    assert found["arms"][0]["gap_difference"] is None
    assert (found["measured_on"], found["measured_size"]) == ("CPU (2 threads)", 320)
    assert arm["loss_gap"]["mean"] == pytest.approx(0.03)
    assert arm["best_epoch"]["mean"] >= arm["score"]["mean"]
    assert arm["costs"]["latency"][1]["batch"] == 16


def test_tables_state_the_basis_of_their_numbers(tmp_path):
    planned = design(ARMS, "6", "[0.5, 1]")
    study = write_study(tmp_path, planned, {}, missing=("cbam-seed3", "cbam-0.5-seed1"))
    text = markdown_report(make_study_report(read_study(study)), {})
    # Means are of the seeds with all images, and of no others.
    assert "| cbam | cbam@before:SPPF | 5 of 6 |" in text
    assert "34 of 36 planned runs finished" in text
    assert "on CPU (2 threads), with each arm at its training size (320 pixels for baseline)" in text
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


def test_a_study_without_finished_runs_can_be_reported(tmp_path):
    planned = design("{a: , b: se@neck}", "2")
    names = ("a-seed0", "a-seed1", "b-seed0", "b-seed1")
    published = publish_report(write_study(tmp_path, planned, {}, missing=names))
    assert published.figures == {}
    assert "4 of 4 runs are missing" in published.markdown.read_text(encoding="utf-8")
