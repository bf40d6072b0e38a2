"""Runs on a real Ray cluster of two workers; one worker is killed."""

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.study.design.grid import Cell
from attendet.study.folder import read_study
from attendet.study.runs import cluster
from attendet.study.runs.cluster import RayExecutor
from attendet.study.runs.execution import run_study
from tests.helpers.small_studies import RecordingObserver, children, open_study, write_small

WORKER = "ray::run_remotely"


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is an extra, and is not installed")
    # Ray's workers step back for others; on a busy machine they would not get through importing torch.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("two_processors")
def test_a_study_on_a_cluster_outlives_a_worker(tmp_path: Path) -> None:
    arms = "{a: , b: se:reduction=2@after:Conv, broken: se:reduction=2@replace:Conv}"
    study, watcher = open_study(write_small(tmp_path, arms, epochs=6)), RecordingObserver()
    before: dict[str, str] = {}
    seen: set[int] = set()

    def kill(cell: Cell, epoch: int) -> None:
        seen.update(children(WORKER))
        if cell.arm in "ab" and epoch >= 2 and not before:
            run = study.job(cell).run
            for pid in children(WORKER):
                os.kill(pid, signal.SIGKILL)
            before[cell.key] = run.results.read_text()

    watcher.then = kill
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = run_study(study, RayExecutor(workers=2), watcher)
    assert [name for name, _ in outcome.failed] == ["broken-seed0"]
    assert "cannot be replaced" in outcome.failed[0][1]
    assert outcome.finished == 2
    assert seen
    records = read_study(study.folder).cells
    assert all(record.history["epoch"] == [1, 2, 3, 4, 5, 6] for record in records.values() if record.history)
    for key, text in before.items():
        cell = next(cell for cell in study.cells()[1] if cell.key == key)
        assert study.job(cell).run.results.read_text().startswith(text)
    assert before


def test_without_ray_the_error_explains_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with pytest.raises(OptionError, match=r"Ray is not installed; pip install 'attendet\[ray\]'"):
        RayExecutor()
