"""The draft of a study that a search writes; neither the search nor its draft counts as evidence."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from attendet.errors import DataError
from attendet.study.design.design_file import read_design
from attendet.study.folder import StudyFolder, read_study
from attendet.study.reporting.publishing import publish_report
from attendet.study.runs.execution import Study, run_study
from attendet.study.searching.search_run import run_search
from tests.helpers.small_studies import (
    FailingExecutor,
    RecordingObserver,
    RecordingSearchObserver,
    open_search,
    write_search,
)
from tests.study.searching.pretended_runs import SPACE, Pretend


def test_the_draft_holds_the_best_with_controls_and_other_seeds(tmp_path: Path, pretend: Pretend) -> None:
    scores = {"se-reduction-2-neck": 0.3, "simam-neck": 0.9, "cbam-neck": 0.5}
    pretend(lambda arm, _: scores.get(arm, 0.1))
    space = "{attention: ['se:reduction=2', simam, cbam, eca], at: neck}"
    search = open_search(
        write_search(tmp_path, space, trials=4, more="keep: 3\nhalving: null\nseed: 5\nmetric: recall\n")
    )
    run_search(search, RecordingSearchObserver())
    design = read_design(search.folder.draft)
    assert list(design.arms) == [
        "baseline",
        "simam-neck",
        "cbam-neck",
        "conv-cbam-neck",
        "se-reduction-2-neck",
        "conv-se-reduction-2-neck",
    ]
    assert design.arms["simam-neck"].control is None
    assert design.arms["cbam-neck"].control == "conv-cbam-neck"
    assert design.arms["conv-se-reduction-2-neck"].attention == ("control-conv1x1:like=se,reduction=2@neck",)
    # Eight seeds can decide five comparisons, and 5 is the search's.
    assert design.seeds == (0, 1, 2, 3, 4, 6, 7, 8)
    assert (design.metric, design.last_epochs, design.baseline) == ("recall", 2, "baseline")
    assert design.recipe == search.design.recipe
    # It works wherever it is copied to.
    copy = Path(shutil.copy(search.folder.draft, tmp_path / "elsewhere.yaml"))
    _, cells = Study(read_design(copy), copy.parent, StudyFolder(tmp_path / "study")).cells()
    assert len(cells) == 48
    text = search.folder.draft.read_text()
    assert "not evidence" in text
    assert "one run with seed\n# 5" in text
    assert "simam-neck: without a control, because it has no parameters" in text


def test_an_edited_draft_is_not_overwritten(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    run_search(search := open_search(write_search(tmp_path, SPACE, trials=1)), RecordingSearchObserver())
    first = search.folder.draft.read_text()
    run_search(open_search(write_search(tmp_path, SPACE, trials=6, more="keep: 1\n")), RecordingSearchObserver())
    second = search.folder.draft.read_text()
    assert "trained 1 " in first
    assert "trained 6 " in second
    search.folder.draft.write_text(second + "# mine\n")
    watcher = RecordingSearchObserver()
    run_search(open_search(write_search(tmp_path, SPACE, trials=7)), watcher)
    assert search.folder.draft.read_text() == second + "# mine\n"
    assert "was edited and is kept" in watcher.messages[0]


def test_a_report_knows_nothing_of_a_search(tmp_path: Path, pretend: Pretend) -> None:
    """A study with the seed, the folder, and the arms of a search trains the arms again."""
    pretend()
    run_search(search := open_search(write_search(tmp_path, SPACE, trials=2)), RecordingSearchObserver())
    with pytest.raises(DataError, match="no study found"):
        publish_report(StudyFolder(search.folder.path))
    written = yaml.safe_load(search.folder.draft.read_text())
    copy = tmp_path / "study.yaml"
    copy.write_text(yaml.safe_dump({**written, "name": "tiny", "seeds": [search.design.seed]}, sort_keys=False))
    study = Study(read_design(copy), copy.parent, StudyFolder(search.folder.path))
    _, cells = study.cells()
    searched = {path.name for path in search.folder.runs.iterdir()}
    assert study.job(cells[0]).folder.name in searched
    refusing = FailingExecutor()
    run_study(study, refusing, RecordingObserver())
    assert refusing.asked == [cell.name for cell in cells]
    assert {record.status for record in read_study(study.folder).cells.values()} == {"failed"}
    report = publish_report(study.folder).report
    assert report.finished == 0
    assert [arm.score for arm in report.arms] == [None] * len(study.design.arms)


def test_the_record_of_a_search_contains_no_verdict(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    run_search(search := open_search(write_search(tmp_path, SPACE)), RecordingSearchObserver())
    written = json.loads(search.folder.record.read_text())
    assert set(written) == {"note", "design", "data", "epochs", "rungs", "candidates", "exhausted"}
    assert set(written["candidates"][1]) == {
        "arm", "attention", "state", "epochs", "values", "value", "error", "run",
    }  # fmt: skip
    assert written["note"].startswith("These scores are not evidence.")
