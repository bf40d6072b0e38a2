"""`attendet study`."""

import json
from pathlib import Path

import pytest

from attendet.study.design.design_file import parse_design
from attendet.study.design.template import STUDY
from tests.helpers.small_studies import write_small


def test_init_writes_the_template_and_overwrites_nothing(studied, tmp_path: Path) -> None:
    code, out, _ = studied("init")
    assert (code, out) == (0, "wrote study.yaml; edit it, then run attendet study plan study.yaml\n")
    assert (tmp_path / "study.yaml").read_text() == STUDY
    parse_design(STUDY)
    code, _, error = studied("init")
    assert (code, error) == (2, "attendet: study.yaml: already exists; choose another name\n")


def test_plan_measures_steps_and_writes_nothing(studied, tmp_path: Path) -> None:
    arms = "{plain: , gated: se:reduction=2@after:Conv}"
    write_small(tmp_path, arms, seeds="6", epochs=300, more="fractions: [1, 0.5]\nspread: 0.01\nbudget_hours: 0.0001\n")
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = studied("plan study.yaml")
    assert code == 0
    assert "2 arms × 6 seeds × 2 fractions of the images: 24 runs" in out
    assert "more than the budget of 0.0001" in out
    assert "standard deviations of paired differences" in out
    assert sorted(tmp_path.rglob("*")) == before
    code, out, _ = studied("plan study.yaml --json --no-measure")
    planned = json.loads(out)
    assert (planned["runs"], planned["hours"], len(planned["cells"])) == (24, None, 24)


def test_run_exits_with_1_if_a_run_failed_and_reports_the_others(studied, tmp_path: Path) -> None:
    write_small(tmp_path, "{plain: , broken: {recipe: {hardware.device: '99'}}}")
    code, out, log = studied("run study.yaml")
    assert code == 1
    assert "broken-seed0 failed: CUDA device 99 not found" in out
    assert "1/2 plain-seed0: best mAP50-95" in log
    assert "broken is not distinguishable from plain: no seed has both runs yet" in out
    study = tmp_path / "runs" / "study" / "tiny"
    (study / "report.md").unlink()
    assert studied(f"report {study}")[0] == 0
    assert (study / "report.md").is_file()
    assert studied(f"report {study} --out elsewhere")[0] == 0
    assert (tmp_path / "elsewhere" / "report.html").is_file()


def test_out_is_the_folder_of_the_study(studied, tmp_path: Path) -> None:
    write_small(tmp_path, "{plain: , gated: se:reduction=2@after:Conv}", epochs=1)
    assert studied("run study.yaml --out mine --limit 1")[0] == 0
    assert (tmp_path / "mine" / "study.json").is_file()
    assert not (tmp_path / "runs").exists()
    for out, finished in (("--out mine", 1), ("", 0)):
        assert json.loads(studied(f"plan study.yaml {out} --json --no-measure")[1])["finished"] == finished


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
    ("text", "message"),
    [
        ("run study.yaml --address ray://a", "--address has no effect without --executor ray; give both"),
        ("run study.yaml --workers 2", "--workers 2 has no effect with --executor local; give --executor processes"),
        ("run study.yaml --project runs", "attendet study run has no option --project"),
        ("report nowhere", "nowhere: file not found; name the folder of a study"),
        ("plan nothing.yaml", "nothing.yaml: file not found; attendet study init writes a design to start from"),
        ("run nothing.yaml", "nothing.yaml: file not found; attendet study init writes a design to start from"),
        ("search nothing.yaml", "nothing.yaml: file not found"),
    ],
)
def test_mistakes_are_reported_in_one_line(studied, tmp_path: Path, text: str, message: str) -> None:
    write_small(tmp_path, "{plain: , gated: se:reduction=2@after:Conv}")
    code, _, error = studied(text)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


def test_plan_finds_controls_of_equal_latency(studied, tmp_path: Path) -> None:
    write_small(tmp_path, "{plain: , gated: se:reduction=2@after:Conv}")
    code, out, _ = studied("plan study.yaml --no-measure --match latency")
    assert code == 0
    assert "controls of equal latency" in out
    assert "\n  gated: {attention: 'se:reduction=2@after:Conv', control: gated-latency}\n" in out
    assert "\n  gated-latency: {attention: 'control-conv1x1:parameters=" in out
    (control,) = json.loads(studied("plan study.yaml --no-measure --match latency --json")[1])["controls"]
    assert (control["arm"], control["control"]) == ("gated", "gated-latency")
    assert control["measured"]["ratio"] > 0
    assert "controls" not in json.loads(studied("plan study.yaml --no-measure --json")[1])
