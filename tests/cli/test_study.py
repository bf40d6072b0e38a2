"""`attendet study` as a user types it."""

import json
from pathlib import Path

import pytest

from attendet.study.design.design_file import parse_design
from attendet.study.design.template import STUDY
from tests.helpers.small_studies import write_small


def test_init_writes_the_template_and_overwrites_nothing(studied, tmp_path: Path) -> None:
    assert studied("init")[0] == 0
    assert (tmp_path / "study.yaml").read_text() == STUDY
    parse_design(STUDY)
    code, _, told = studied("init")
    assert (code, told) == (2, "attendet: study.yaml: it exists; name a new one\n")


def test_plan_measures_steps_and_writes_nothing(studied, tmp_path: Path) -> None:
    arms = "{plain: , gated: se:reduction=2@after:Conv}"
    write_small(tmp_path, arms, seeds="6", epochs=300, more="fractions: [1, 0.5]\nspread: 0.01\nbudget_hours: 0.0001\n")
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = studied("plan study.yaml")
    assert code == 0
    assert "2 arms × 6 seeds × 2 shares of the images: 24 runs" in out
    assert "more than the 0.0001 of the budget" in out
    assert "standard deviations of paired differences" in out
    assert sorted(tmp_path.rglob("*")) == before
    code, out, _ = studied("plan study.yaml --json --no-measure")
    planned = json.loads(out)
    assert (planned["runs"], planned["hours"], len(planned["cells"])) == (24, None, 24)


def test_run_exits_with_1_where_a_run_failed_and_reports_the_rest(studied, tmp_path: Path) -> None:
    write_small(tmp_path, "{plain: , broken: {recipe: {hardware.device: '99'}}}")
    code, out, told = studied("run study.yaml")
    assert code == 1
    assert "broken-seed0 failed: there is no CUDA device 99" in out
    assert "1/2 plain-seed0: best mAP50-95" in told
    assert "broken is not distinguishable from plain: no seed has both runs yet" in out
    study = tmp_path / "runs" / "study" / "tiny"
    (study / "report.md").unlink()
    assert studied(f"report {study}")[0] == 0
    assert (study / "report.md").is_file()


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_an_arm_that_cannot_be_built_is_refused_before_anything_is_spent(studied, tmp_path: Path, verb: str) -> None:
    write_small(tmp_path, "{plain: , slip: se:reduction=2@nek}")
    code, _, error = studied(f"{verb} study.yaml")
    assert code == 2
    assert (
        "study.yaml:4:23: the arm slip cannot be built: nek matches nothing in Detector; did you mean 'neck'?" in error
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run study.yaml --address ray://a", "--address beside --executor local; give --executor ray"),
        ("run study.yaml --workers 2", "--workers 2 in one process; give --executor processes"),
        ("report nowhere", "nowhere: there is no study here"),
        ("plan nothing.yaml", "nothing.yaml"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(studied, tmp_path: Path, text: str, told: str) -> None:
    write_small(tmp_path, "{plain: , gated: se:reduction=2@after:Conv}")
    code, _, error = studied(text)
    assert code == 2
    assert told in error
    assert error.count("\n") == 1
