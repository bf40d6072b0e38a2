"""Records in the folder of a study: damaged, renamed, missing, and inconsistent."""

import pytest

from attendet.errors import DataError
from attendet.study.folder import StudyFolder, read_cell, read_study
from attendet.study.reporting.outcome import make_study_report
from tests.helpers.synthetic_studies import design, write_study
from tests.helpers.typed_access import not_none
from tests.study.reporting.synthetic_reports import ARMS, contrasts


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
    assert not_none(read_cell(study, cells["cbam-seed6"].stem)).seed == 6


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
    with pytest.raises(DataError, match="no study found"):
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
    message = r"study\.json: the record is damaged: unknown arm 'other'; remove the file"
    with pytest.raises(DataError, match=message):
        read_study(study)
