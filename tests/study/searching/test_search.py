"""Searches: what is tried, stopped, taken up and left behind. Optuna is real, most runs pretend."""

import json
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from attendet.errors import DataError, OptionError, TrainingError
from attendet.study.design.design_file import read_design
from attendet.study.folder import StudyFolder, read_study
from attendet.study.reporting.publishing import publish_report
from attendet.study.runs.execution import Study, run_study
from attendet.study.searching import pruning, search_run, trials
from attendet.study.searching.search_records import SearchRecord
from attendet.study.searching.search_run import run_search
from attendet.training.run_folder import read_run
from tests.helpers.small_searches import FakeTrainer, RecordingSearchObserver, open_search, write_search
from tests.helpers.small_studies import FailingExecutor, RecordingObserver
from tests.helpers.small_training import skip_plots

SPACE = "{attention: [cbam, se, eca], at: [neck, head, before:SPPF, after:C3]}"
Pretend = Callable[..., FakeTrainer]


def chance(arm: str, epoch: int) -> float:
    """Return a score that nobody could guess, the same every time."""
    return float(np.random.default_rng(zlib.crc32(f"{arm} {epoch}".encode())).random())


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    def start(score: Callable[[str, int], float] = chance, epochs: int = 4) -> FakeTrainer:
        runs = FakeTrainer(score, epochs)
        monkeypatch.setattr(search_run, "perform", runs.perform)
        return runs

    return start


def told(record: SearchRecord) -> list[tuple[str, str, int]]:
    return [(each.arm, each.state, each.epochs) for each in record.candidates]


@pytest.mark.parametrize(("factor", "epochs", "rungs"), [(2, 8, (2, 4)), (3, 20, (2, 6, 18))])
def test_of_all_that_came_so_far_the_best_one_in_so_many_goes_on(
    tmp_path: Path, pretend: Pretend, factor: int, epochs: int, rungs: tuple[int, ...]
) -> None:
    """By hand, as Li et al. (2020) have it: who is among the best 1/factor at a rung goes on, and the best always."""
    pretend(epochs=epochs)
    search = open_search(write_search(tmp_path, SPACE, trials=12, epochs=epochs, more=f"halving: {factor}\n"))
    record = run_search(search, RecordingSearchObserver())
    assert record.rungs == rungs
    reached: dict[int, list[float]] = {rung: [] for rung in rungs}
    expected = [("baseline", "finished", epochs)]
    for each in record.candidates[1:]:
        end = ("finished", epochs)
        for rung in rungs:
            mine = chance(each.arm, rung)
            reached[rung].append(mine)
            if sum(other > mine for other in reached[rung]) >= max(1, len(reached[rung]) // factor):
                end = ("stopped", rung)
                break
        expected.append((each.arm, *end))
    assert told(record) == expected
    assert {state for _, state, _ in expected} == {"finished", "stopped"}


def test_without_halving_all_come_to_their_end_and_are_worth_their_last_epochs(
    tmp_path: Path, pretend: Pretend
) -> None:
    pretend()
    record = run_search(
        open_search(write_search(tmp_path, SPACE, trials=3, more="halving: null\n")), RecordingSearchObserver()
    )
    assert [state for _, state, _ in told(record)] == ["finished"] * 4
    for each in record.candidates:
        assert each.values == {epoch: chance(each.arm, epoch) for epoch in range(1, 5)}
        assert each.value == pytest.approx((chance(each.arm, 3) + chance(each.arm, 4)) / 2)
    values = [each.value for each in record.ranked()]
    assert values == sorted(values, reverse=True)


def test_the_baseline_is_never_stopped_however_weak(tmp_path: Path, pretend: Pretend) -> None:
    pretend(lambda arm, _: 0.0 if arm == "baseline" else 0.5)
    record = run_search(open_search(write_search(tmp_path, SPACE, more="halving: 2\n")), RecordingSearchObserver())
    assert told(record)[0] == ("baseline", "finished", 4)


def test_nothing_is_tried_twice_and_a_space_can_be_exhausted(tmp_path: Path, pretend: Pretend) -> None:
    runs = pretend(epochs=1)
    record = run_search(open_search(write_search(tmp_path, SPACE, trials=50, epochs=1)), RecordingSearchObserver())
    assert record.exhausted
    pairs = {
        f"{attention}@{at}" for attention in ("cbam", "se", "eca") for at in ("neck", "head", "before:SPPF", "after:C3")
    }
    assert sorted(each.attention for each in record.candidates[1:]) == sorted(pairs)
    assert len(runs.done) == len(set(runs.done)) == 13


def test_what_is_tried_next_follows_what_was_found(tmp_path: Path, pretend: Pretend) -> None:
    """Of 72 candidates 12 are good; among ten drawn by chance there would be about two."""
    pretend(lambda arm, _: 0.9 if arm.startswith("se-") else 0.1 + 0.01 * chance(arm, 0), epochs=1)
    space = f"{{attention: [cbam, se, eca, bam, simam, gc], at: [{', '.join(f'model.{row}' for row in range(12))}]}}"
    record = run_search(open_search(write_search(tmp_path, space, trials=20, epochs=1)), RecordingSearchObserver())
    later = [each.attention.partition("@")[0] for each in record.candidates[11:]]
    assert len(later) == 10
    assert later.count("se") >= 5


def test_a_search_that_is_interrupted_is_the_same_search(tmp_path: Path, pretend: Pretend) -> None:
    runs = pretend()
    whole = run_search(
        open_search(write_search(tmp_path / "whole", SPACE, trials=6, more="halving: 2\n")), RecordingSearchObserver()
    )
    expected, runs.done = sorted(runs.done), []

    search = open_search(write_search(tmp_path / "parts", SPACE, trials=6, more="halving: 2\n"))
    stops = iter([2, 5, 9, 14, 15])
    due = next(stops)
    watcher = RecordingSearchObserver()

    def interrupt(_: SearchRecord) -> None:
        nonlocal due
        if len(runs.done) >= due:
            due = next(stops, 10_000)
            raise KeyboardInterrupt

    watcher.then = interrupt
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run_search(search, watcher)
    assert run_search(search, watcher).candidates == whole.candidates
    assert sorted(runs.done) == expected


def test_a_killed_process_leaves_a_search_that_goes_on(tmp_path: Path, pretend: Pretend) -> None:
    file = write_search(tmp_path, SPACE, trials=2, more="halving: null\n")
    program = (
        "import os, signal, sys; from pathlib import Path; from attendet.study.searching import search_run; "
        "from tests.helpers.small_searches import RecordingSearchObserver, FakeTrainer, open_search\n"
        "def score(arm, epoch):\n"
        "    if arm != 'baseline' and epoch == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return epoch / 10\n"
        "search_run.perform = FakeTrainer(score, 4).perform\n"
        "search_run.run_search(open_search(Path(sys.argv[1])), RecordingSearchObserver())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(file)], cwd=Path(__file__).parents[3], check=False)  # noqa: S603
    assert ended.returncode == -signal.SIGKILL
    runs = pretend(lambda _, epoch: epoch / 10)
    record = run_search(open_search(file), RecordingSearchObserver())
    first, second = (each.arm for each in record.candidates[1:])
    assert runs.done == [(first, 3), (first, 4), *[(second, epoch) for epoch in range(1, 5)]]
    assert {each.state for each in record.candidates} == {"finished"}
    assert [each.values for each in record.candidates] == [{1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}] * 3


def test_more_trials_go_on_where_fewer_ended(tmp_path: Path, pretend: Pretend) -> None:
    runs = pretend()
    run_search(open_search(write_search(tmp_path, SPACE, trials=2)), RecordingSearchObserver())
    before, runs.done = sorted({arm for arm, _ in runs.done}), []
    assert run_search(open_search(write_search(tmp_path, SPACE, trials=2)), RecordingSearchObserver()).exhausted is False
    assert runs.done == []
    record = run_search(
        open_search(write_search(tmp_path, SPACE, trials=4, more="keep: 1\n")), RecordingSearchObserver()
    )
    assert len(record.candidates) == 5
    assert len({arm for arm, _ in runs.done}) == 2
    assert {arm for arm, _ in runs.done}.isdisjoint(before)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("schedule.epochs: 4", "schedule.epochs: 5"), "recipe"),
        (("at: [neck, ", "at: [neck, stage, "), "space"),
        (("last_epochs: 2", "last_epochs: 1"), "number of last epochs"),
        (("halving: 2", "halving: 4"), "halving"),
        (("halving: 2", "halving: 2\nmetric: recall"), "metric"),
        (("halving: 2", "halving: 2\nseed: 7"), "seed"),
    ],
)
def test_a_folder_holds_one_search(tmp_path: Path, pretend: Pretend, change: tuple[str, str], named: str) -> None:
    pretend()
    file = write_search(tmp_path, SPACE, trials=1, more="halving: 2\n")
    run_search(open_search(file), RecordingSearchObserver())
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(OptionError, match=f"begun with another .*{named}.*; give this one another name"):
        run_search(open_search(file), RecordingSearchObserver())


def test_what_fails_is_told_by_name_and_tried_again_by_the_next_call(tmp_path: Path, pretend: Pretend) -> None:
    def failing(arm: str, epoch: int) -> float:
        if arm == "se-neck":
            raise TrainingError("weights are no longer finite")
        return chance(arm, epoch)

    pretend(failing)
    file, watcher = (
        write_search(tmp_path, "{attention: [se, eca], at: neck}", trials=2, more="halving: null\n"),
        RecordingSearchObserver(),
    )
    record = run_search(open_search(file), watcher)
    assert {each.arm: (each.state, each.error) for each in record.candidates if each.error} == {
        "se-neck": ("failed", "weights are no longer finite")
    }
    assert [each.arm for each in watcher.on_run_end_candidates if each.state == "failed"] == ["se-neck"]
    runs = pretend()
    record = run_search(open_search(file), RecordingSearchObserver())
    assert {arm for arm, _ in runs.done} == {"se-neck"}
    assert {each.state for each in record.candidates} == {"finished"}


def test_a_search_of_which_nothing_is_left_is_an_error(tmp_path: Path, pretend: Pretend) -> None:
    def failing(arm: str, epoch: int) -> float:
        if arm != "baseline":
            raise OptionError("it does not fit")
        return chance(arm, epoch)

    pretend(failing)
    search = open_search(write_search(tmp_path, SPACE))
    with pytest.raises(OptionError, match=r"none of 3 candidates came to its end; .*: it does not fit"):
        run_search(search, RecordingSearchObserver())
    assert not search.folder.draft.exists()
    assert [state for _, state, _ in told(SearchRecord.model_validate_json(search.folder.record.read_text()))] == [
        "finished",
        *["failed"] * 3,
    ]


def test_without_a_baseline_nothing_is_tried(tmp_path: Path, pretend: Pretend) -> None:
    def failing(arm: str, _: int) -> float:
        raise TrainingError(f"no {arm}")

    pretend(failing)
    with pytest.raises(TrainingError, match="no baseline"):
        run_search(open_search(write_search(tmp_path, SPACE)), RecordingSearchObserver())


def test_two_at_once_are_refused_and_optuna_is_asked_for(
    tmp_path: Path, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend()
    search, watcher = open_search(write_search(tmp_path, SPACE)), RecordingSearchObserver()

    def again(_: SearchRecord) -> None:
        with pytest.raises(OptionError, match="another process runs the search"):
            run_search(search, RecordingSearchObserver())

    watcher.then = again
    run_search(search, watcher)
    monkeypatch.setattr(trials, "find_spec", lambda _: None)
    with pytest.raises(OptionError, match=r"Optuna is not installed; pip install 'attendet\[search\]'"):
        run_search(search, RecordingSearchObserver())


def test_without_its_data_a_search_leaves_nothing(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    search = open_search(write_search(tmp_path, SPACE))
    shutil.rmtree(tmp_path / "set")
    with pytest.raises(DataError):
        run_search(search, RecordingSearchObserver())
    assert not search.folder.path.exists()


def test_a_damaged_journal_is_named(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    search = open_search(write_search(tmp_path, SPACE))
    search.folder.path.mkdir(parents=True)
    search.folder.journal.write_text("{}\n{}\n")
    with pytest.raises(DataError, match=r"optuna\.journal: it is damaged"):
        run_search(search, RecordingSearchObserver())


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
    assert "no evidence" in text
    assert "one run with seed\n# 5" in text
    assert "There is no control for simam-neck: no parameters to match" in text


def test_a_draft_that_somebody_has_changed_stays(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    run_search(search := open_search(write_search(tmp_path, SPACE, trials=1)), RecordingSearchObserver())
    first = search.folder.draft.read_text()
    run_search(open_search(write_search(tmp_path, SPACE, trials=6, more="keep: 1\n")), RecordingSearchObserver())
    second = search.folder.draft.read_text()
    assert "has trained 1 " in first
    assert "has trained 6 " in second
    search.folder.draft.write_text(second + "# mine\n")
    watcher = RecordingSearchObserver()
    run_search(open_search(write_search(tmp_path, SPACE, trials=7)), watcher)
    assert search.folder.draft.read_text() == second + "# mine\n"
    assert "was changed, and stays as it is" in watcher.messages[0]


def test_a_report_knows_nothing_of_a_search(tmp_path: Path, pretend: Pretend) -> None:
    """Not even where a study has the search's seed, and its folder, and takes its arms: it trains them anew."""
    pretend()
    run_search(search := open_search(write_search(tmp_path, SPACE, trials=2)), RecordingSearchObserver())
    with pytest.raises(DataError, match="there is no study here"):
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


def test_a_search_says_nothing_that_sounds_like_evidence(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    run_search(search := open_search(write_search(tmp_path, SPACE)), RecordingSearchObserver())
    written = json.loads(search.folder.record.read_text())
    assert set(written) == {"note", "design", "data", "epochs", "rungs", "candidates", "exhausted"}
    assert set(written["candidates"][1]) == {
        "arm", "attention", "state", "epochs", "values", "value", "error", "run",
    }  # fmt: skip
    assert written["note"].startswith("These numbers are no evidence.")


def test_real_runs_are_stopped_interrupted_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is real; of the scores only which candidate is the weak one is made up."""
    skip_plots(monkeypatch)
    really = pruning.measured
    scores = {"baseline": 0.5, "se-reduction-2-after-Conv": 0.5, "eca-after-Conv": 0.5}

    def scored(run, metric):
        return dict.fromkeys(really(run, metric), next(scores[arm] for arm in scores if run.path.name.startswith(arm)))

    monkeypatch.setattr(pruning, "measured", scored)
    file = write_search(
        tmp_path, "{attention: ['se:reduction=2', eca], at: [after:Conv]}", epochs=2, more="halving: 2\n"
    )
    search, watcher = open_search(file), RecordingSearchObserver()

    def interrupt(record: SearchRecord) -> None:
        if len(record.candidates) == 2 and record.candidates[-1].epochs == 1:
            # Whoever comes after this one is weaker.
            for arm in set(scores) - {each.arm for each in record.candidates}:
                scores[arm] = 0.1
            raise KeyboardInterrupt

    watcher.then = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_search(search, watcher)
    folders = {path.name.partition("-seed")[0]: path for path in search.folder.runs.iterdir()}
    first = next(name for name in folders if name != "baseline")
    times = {name: (path / "run.json").stat().st_mtime_ns for name, path in folders.items()}
    record = run_search(search, RecordingSearchObserver())
    assert [(state, epochs) for _, state, epochs in told(record)] == [("finished", 2), ("finished", 2), ("stopped", 1)]
    assert record.candidates[1].arm == first
    assert (folders["baseline"] / "run.json").stat().st_mtime_ns == times["baseline"]
    finished, stopped = (search_run.SearchRun(search, watcher).job(each.arm).run for each in record.candidates[1:])
    assert read_run(finished).finished
    assert not read_run(stopped).finished
    assert len(really(stopped, "map50_95")) == 1
