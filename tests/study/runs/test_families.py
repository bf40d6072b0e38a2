"""A study compares networks with and without anchors, whose losses have different parts."""

from pathlib import Path

import pytest

from attendet.study.folder import read_study
from attendet.study.reporting.publishing import publish_report
from attendet.study.runs.execution import run_study
from attendet.study.runs.executors import LocalExecutor
from tests.helpers.small_studies import RecordingObserver, open_study, write_small
from tests.helpers.small_training import ANCHOR_FREE_MODEL, skip_plots

ARMS = "{anchors: , free: {model: free.yaml}, gated: {model: free.yaml, attention: 'se:reduction=2@after:Conv'}}"


def test_arms_of_two_families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_plots(monkeypatch)
    (tmp_path / "free.yaml").write_text(ANCHOR_FREE_MODEL)
    study = open_study(write_small(tmp_path, ARMS, seeds="2"))
    run_study(study, LocalExecutor(), RecordingObserver())
    records = list(read_study(study.folder).cells.values())
    losses = {
        record.arm: {name.split("/")[1] for name in record.history if name.endswith("_loss")} for record in records
    }
    assert losses == {
        "anchors": {"box_loss", "obj_loss", "cls_loss"},
        "free": {"box_loss", "cls_loss", "dfl_loss"},
        "gated": {"box_loss", "cls_loss", "dfl_loss"},
    }
    assert {record.status for record in records} == {"finished"}
    report = publish_report(study.folder).report
    assert {arm.name for arm in report.arms} == {"anchors", "free", "gated"}
