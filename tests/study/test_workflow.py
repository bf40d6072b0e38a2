"""The search of a study as a function, with scores instead of training."""

import json
from pathlib import Path

import pytest

from attendet import study
from attendet.study.searching import search_run
from tests.helpers.parsed_html import ParsedHtml
from tests.helpers.small_studies import FakeTrainer, RecordingSearchObserver, write_search

SCORES = {"baseline": 0.5, "se-after-Conv": 0.625, "eca-after-Conv": 0.75}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    trainer = FakeTrainer(lambda arm, _: SCORES[arm], epochs=1)
    monkeypatch.setattr(search_run, "run_job", trainer.perform)
    return trainer


def test_a_search_writes_its_record_and_a_draft(
    tmp_path: Path, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_search(tmp_path, "{attention: [se, eca], at: after:Conv}", trials=2, epochs=1)
    monkeypatch.chdir(tmp_path)
    observer = RecordingSearchObserver()
    record = study.search(file, observer=observer)
    assert {each.arm: each.value for each in record.candidates} == SCORES
    assert [each.arm for each in record.ranked()] == ["eca-after-Conv", "se-after-Conv"]
    assert {each.arm for each in observer.ended_candidates} == set(SCORES)
    folder = tmp_path / "runs" / "search" / "tiny"
    assert json.loads((folder / "search.json").read_text()) == record.to_dict()
    draft = study.open_study(folder / "study.yaml").design
    assert {arm.attention for arm in draft.arms.values()} >= {("eca@after:Conv",), ("se@after:Conv",)}

    trained = len(trainer.done)
    assert study.search(str(file)) == record
    assert len(trainer.done) == trained


@pytest.mark.usefixtures("trainer")
def test_the_record_of_a_search_is_a_table_in_a_notebook(tmp_path: Path) -> None:
    file = write_search(tmp_path, "{attention: [se, eca], at: [after:Conv, '<b>']}", trials=4, epochs=1)
    record = study.search(file, out=tmp_path / "out")
    parsed = ParsedHtml(record._repr_html_())
    assert parsed.rows[:4] == [
        ["candidate", "state", "mAP50-95", "epochs"],
        ["baseline", "finished", "0.500", "1/1"],
        ["eca@after:Conv", "finished", "0.750", "1/1"],
        ["se@after:Conv", "finished", "0.625", "1/1"],
    ]
    assert {row[0] for row in parsed.rows[4:]} == {"se@<b>", "eca@<b>"}
    assert {(row[1].split(":")[0], row[2], row[3]) for row in parsed.rows[4:]} == {("failed", "-", "0/1")}
    assert parsed.paragraphs == [record.note]
    assert parsed.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    assert (tmp_path / "out" / "study.yaml").is_file()
