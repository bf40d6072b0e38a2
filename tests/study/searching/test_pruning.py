"""Runs that are stopped early, against the published rule; once with real training."""

from pathlib import Path

import pytest

from attendet.study.searching import pruning, search_run
from attendet.study.searching.search_records import SearchRecord
from attendet.study.searching.search_run import run_search
from attendet.training.run_folder import read_run
from tests.helpers.small_studies import RecordingSearchObserver, open_search, write_search
from tests.helpers.small_training import skip_plots
from tests.helpers.typed_access import not_none
from tests.study.searching.pretended_runs import SPACE, Pretend, candidate_outcomes, chance


@pytest.mark.parametrize(("factor", "epochs", "rungs"), [(2, 8, (2, 4)), (3, 20, (2, 6, 18))])
def test_runs_continue_if_they_are_among_the_best_fraction_so_far(
    tmp_path: Path, pretend: Pretend, factor: int, epochs: int, rungs: tuple[int, ...]
) -> None:
    """The rule of Li et al. (2020): a run among the best 1/factor at a rung continues, and the best always does."""
    pretend(epochs=epochs)
    search = open_search(write_search(tmp_path, SPACE, trials=12, epochs=epochs, more=f"halving: {factor}\n"))
    record = run_search(search, RecordingSearchObserver())
    assert record.rungs == rungs
    reached: dict[int, list[float]] = {rung: [] for rung in rungs}
    expected = [("baseline", "finished", epochs)]
    for each in record.candidates[1:]:
        state, end = "finished", epochs
        for rung in rungs:
            mine = chance(each.arm, rung)
            reached[rung].append(mine)
            if sum(other > mine for other in reached[rung]) >= max(1, len(reached[rung]) // factor):
                state, end = "stopped", rung
                break
        expected.append((each.arm, state, end))
    assert candidate_outcomes(record) == expected
    assert {state for _, state, _ in expected} == {"finished", "stopped"}


def test_without_halving_all_runs_finish_and_are_scored_by_their_last_epochs(tmp_path: Path, pretend: Pretend) -> None:
    pretend()
    record = run_search(
        open_search(write_search(tmp_path, SPACE, trials=3, more="halving: null\n")), RecordingSearchObserver()
    )
    assert [state for _, state, _ in candidate_outcomes(record)] == ["finished"] * 4
    for each in record.candidates:
        assert each.values == {epoch: chance(each.arm, epoch) for epoch in range(1, 5)}
        assert each.value == pytest.approx((chance(each.arm, 3) + chance(each.arm, 4)) / 2)
    values = [not_none(each.value) for each in record.ranked()]
    assert values == sorted(values, reverse=True)


def test_the_baseline_is_never_stopped_however_weak(tmp_path: Path, pretend: Pretend) -> None:
    pretend(lambda arm, _: 0.0 if arm == "baseline" else 0.5)
    record = run_search(open_search(write_search(tmp_path, SPACE, more="halving: 2\n")), RecordingSearchObserver())
    assert candidate_outcomes(record)[0] == ("baseline", "finished", 4)


def test_real_runs_are_stopped_interrupted_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is real, except that the scores of one candidate are lowered."""
    skip_plots(monkeypatch)
    really = pruning.validated_epochs
    scores = {"baseline": 0.5, "se-reduction-2-after-Conv": 0.5, "eca-after-Conv": 0.5}

    def scored(run, metric):
        return dict.fromkeys(really(run, metric), next(scores[arm] for arm in scores if run.path.name.startswith(arm)))

    monkeypatch.setattr(pruning, "validated_epochs", scored)
    file = write_search(
        tmp_path, "{attention: ['se:reduction=2', eca], at: [after:Conv]}", epochs=2, more="halving: 2\n"
    )
    search, watcher = open_search(file), RecordingSearchObserver()

    def interrupt(record: SearchRecord) -> None:
        if len(record.candidates) == 2 and record.candidates[-1].epochs == 1:
            # All later candidates are weaker.
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
    assert [(state, epochs) for _, state, epochs in candidate_outcomes(record)] == [
        ("finished", 2),
        ("finished", 2),
        ("stopped", 1),
    ]
    assert record.candidates[1].arm == first
    assert (folders["baseline"] / "run.json").stat().st_mtime_ns == times["baseline"]
    finished, stopped = (search_run.SearchRun(search, watcher).job(each.arm).run for each in record.candidates[1:])
    assert read_run(finished).finished
    assert not read_run(stopped).finished
    assert len(really(stopped, "map50_95")) == 1
