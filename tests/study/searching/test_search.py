"""Searches: candidates, interruptions, failures, and errors. Optuna is real, training is replaced."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attendet.errors import DataError, OptionError, TrainingError
from attendet.study.searching import trials
from attendet.study.searching.search_records import SearchRecord
from attendet.study.searching.search_run import run_search
from tests.helpers.small_studies import RecordingSearchObserver, open_search, write_search
from tests.helpers.typed_access import not_none
from tests.study.searching.pretended_runs import SPACE, Pretend, candidate_outcomes, chance


def test_nothing_is_tried_twice_and_a_space_can_be_exhausted(tmp_path: Path, pretend: Pretend) -> None:
    runs = pretend(epochs=1)
    record = run_search(open_search(write_search(tmp_path, SPACE, trials=50, epochs=1)), RecordingSearchObserver())
    assert record.exhausted
    pairs = {
        f"{attention}@{at}" for attention in ("cbam", "se", "eca") for at in ("neck", "head", "before:SPPF", "after:C3")
    }
    assert sorted(not_none(each.attention) for each in record.candidates[1:]) == sorted(pairs)
    assert len(runs.done) == len(set(runs.done)) == 13


def test_later_candidates_depend_on_earlier_scores(tmp_path: Path, pretend: Pretend) -> None:
    """Of 72 candidates 12 are good; among ten drawn by chance there would be about two."""
    pretend(lambda arm, _: 0.9 if arm.startswith("se-") else 0.1 + 0.01 * chance(arm, 0), epochs=1)
    space = f"{{attention: [cbam, se, eca, bam, simam, gc], at: [{', '.join(f'model.{row}' for row in range(12))}]}}"
    record = run_search(open_search(write_search(tmp_path, space, trials=20, epochs=1)), RecordingSearchObserver())
    later = [not_none(each.attention).partition("@")[0] for each in record.candidates[11:]]
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


def test_a_search_resumes_after_its_process_was_killed(tmp_path: Path, pretend: Pretend) -> None:
    file = write_search(tmp_path, SPACE, trials=2, more="halving: null\n")
    program = (
        "import os, signal, sys; from pathlib import Path; from attendet.study.searching import search_run; "
        "from tests.helpers.small_studies import RecordingSearchObserver, FakeTrainer, open_search\n"
        "def score(arm, epoch):\n"
        "    if arm != 'baseline' and epoch == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return epoch / 10\n"
        "search_run.run_job = FakeTrainer(score, 4).perform\n"
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


def test_more_trials_continue_a_finished_search(tmp_path: Path, pretend: Pretend) -> None:
    runs = pretend()
    run_search(open_search(write_search(tmp_path, SPACE, trials=2)), RecordingSearchObserver())
    before, runs.done = sorted({arm for arm, _ in runs.done}), []
    assert (
        run_search(open_search(write_search(tmp_path, SPACE, trials=2)), RecordingSearchObserver()).exhausted is False
    )
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
    with pytest.raises(OptionError, match=f"started with another .*{named}.*; give this search another name"):
        run_search(open_search(file), RecordingSearchObserver())


def test_failures_are_reported_by_name_and_repeated_by_the_next_call(tmp_path: Path, pretend: Pretend) -> None:
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
    assert [each.arm for each in watcher.ended_candidates if each.state == "failed"] == ["se-neck"]
    runs = pretend()
    record = run_search(open_search(file), RecordingSearchObserver())
    assert {arm for arm, _ in runs.done} == {"se-neck"}
    assert {each.state for each in record.candidates} == {"finished"}


def test_a_search_without_finished_candidates_is_an_error(tmp_path: Path, pretend: Pretend) -> None:
    def failing(arm: str, epoch: int) -> float:
        if arm != "baseline":
            raise OptionError("it does not fit")
        return chance(arm, epoch)

    pretend(failing)
    search = open_search(write_search(tmp_path, SPACE))
    with pytest.raises(OptionError, match=r"none of 3 candidates finished; .*: it does not fit"):
        run_search(search, RecordingSearchObserver())
    assert not search.folder.draft.exists()
    assert [
        state for _, state, _ in candidate_outcomes(SearchRecord.model_validate_json(search.folder.record.read_text()))
    ] == [
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
        with pytest.raises(OptionError, match="another process works in this folder"):
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
    with pytest.raises(DataError, match=r"optuna\.journal: the journal is damaged"):
        run_search(search, RecordingSearchObserver())
