"""Runs in parallel processes: killed processes are replaced, and none outlives the study."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attendet.study.design.grid import Cell
from attendet.study.folder import read_study
from attendet.study.runs.execution import run_study
from attendet.study.runs.executors import MAX_RETRIES
from attendet.study.runs.process_executor import ProcessExecutor
from tests.helpers.small_studies import RecordingObserver, children, open_study, write_small

ARMS = "{a: , b: se:reduction=2@after:Conv}"
WORKER = "attendet.study.runs.worker"


@pytest.mark.slow
def test_a_study_is_completed_if_one_of_two_processes_is_killed(tmp_path: Path) -> None:
    study, watcher = open_study(write_small(tmp_path, ARMS, epochs=6)), RecordingObserver()
    first: dict[str, str] = {}

    def kill(cell: Cell, epoch: int) -> None:
        # The first run is in the process that started first.
        if cell.arm == "a" and epoch >= 2 and not first:
            assert len(children(WORKER)) == 2
            os.kill(min(children(WORKER)), signal.SIGKILL)
            first[cell.key] = study.job(cell).run.results.read_text()

    watcher.then = kill
    outcome = run_study(study, ProcessExecutor(2), watcher)
    assert (outcome.finished, outcome.failed) == (2, ())
    assert children(WORKER) == []
    assert sum("the process was killed" in line for line in watcher.messages) == 1
    for record in read_study(study.folder).cells.values():
        assert record.history["epoch"] == [1, 2, 3, 4, 5, 6]
    # Their times show that the epochs before were not done again.
    for key, before in first.items():
        cell = next(cell for cell in study.cells()[1] if cell.key == key)
        assert study.job(cell).run.results.read_text().startswith(before)


@pytest.mark.slow
def test_a_run_that_is_always_killed_fails_and_the_other_continues(tmp_path: Path) -> None:
    study, watcher = open_study(write_small(tmp_path, ARMS)), RecordingObserver()
    started: set[int] = set()

    def kill(cell: Cell, epoch: int) -> None:  # noqa: ARG001
        if cell.arm == "a":
            for pid in children(WORKER):
                started.add(pid)
                os.kill(pid, signal.SIGKILL)

    watcher.then = kill
    outcome = run_study(study, ProcessExecutor(1), watcher, limit=1)
    assert len(started) == MAX_RETRIES + 1
    assert outcome.left == 1
    assert [name for name, _ in outcome.failed] == ["a-seed0"]
    assert f"the process was killed {MAX_RETRIES + 1} times (SIGKILL)" in outcome.failed[0][1]


def test_errors_in_a_process_are_reported(tmp_path: Path) -> None:
    study = open_study(write_small(tmp_path, "{a: se:reduction=2@replace:Conv, b: }"))
    (failed,) = run_study(study, ProcessExecutor(2), RecordingObserver(), limit=1).failed
    assert failed == (
        "a-seed0",
        (
            "model.0 turns (1, 3, 64, 64) into (1, 8, 32, 32) and cannot be replaced by attention;"
            " attach attention to its output"
        ),
    )


@pytest.mark.slow
def test_a_killed_study_leaves_no_process_and_can_be_resumed(tmp_path: Path) -> None:
    file = write_small(tmp_path, ARMS, epochs=14)
    command = [sys.executable, "-m", "attendet", "study", "run", str(file), "--executor", "processes", "--workers", "1"]
    study = open_study(file)
    killed = subprocess.Popen([*command, "--out", str(study.folder.path)], stderr=subprocess.PIPE)  # noqa: S603
    job = study.job(study.cells()[1][0])
    wait_for(lambda: job.run.results.is_file() and len(job.run.results.read_text().splitlines()) > 2)
    workers = children(WORKER, killed.pid)
    assert len(workers) == 1
    killed.kill()
    killed.communicate()
    wait_for(lambda: not Path(f"/proc/{workers[0]}").exists() or not Path(f"/proc/{workers[0]}/cmdline").read_bytes())
    before = rows_without_seconds(job.run.results)
    assert 2 < len(before) < 15
    assert run_study(study, ProcessExecutor(1), RecordingObserver(), limit=1).finished == 1
    # An epoch whose checkpoint was not written any more is trained again, and takes another time.
    assert rows_without_seconds(job.run.results)[: len(before)] == before


def rows_without_seconds(results: Path) -> list[str]:
    header, *rows = results.read_text().splitlines()
    assert header.endswith(",seconds")
    return [header, *(row.rpartition(",")[0] for row in rows)]


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
