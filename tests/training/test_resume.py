"""A run that is killed within an epoch and resumed is bit-identical to an uninterrupted run."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import attendet
from attendet.errors import DataError, OptionError, WeightsError
from attendet.training.run_folder import RunFolder, read_run
from attendet.training.runner import config_to_resume, train
from tests.helpers.small_training import (
    Interrupted,
    InterruptingReporter,
    RecordingReporter,
    rows_of,
    skip_plots,
    small,
    write_set,
)

pytestmark = pytest.mark.usefixtures("without_plots")

# The installed command, with a progress bar that kills the process within the third epoch, as `kill -9` does.
KILLED = """
import os, signal
from attendet.cli import main
from attendet.cli.ui.training_progress import TrainingProgress
import attendet.training.runner as engine
start, end = TrainingProgress.on_epoch_start, TrainingProgress.on_batch_end
def on_epoch_start(self, epoch, *rest):
    self._epoch_number = epoch
    start(self, epoch, *rest)
def on_batch_end(self, batch, *rest):
    end(self, batch, *rest)
    if self._epoch_number == 3 and batch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
TrainingProgress.on_epoch_start, TrainingProgress.on_batch_end = on_epoch_start, on_batch_end
engine.draw_data = engine.draw_results = lambda *_: None
main.run()
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_killed_and_resumed_is_bit_for_bit_uninterrupted(data: Path, model: Path, tmp_path: Path, workers: int) -> None:
    settings = {
        "schedule__epochs": 4,
        "schedule__close_mosaic": 1,
        "augment__mixup": 0.2,
        # With workers, the weights of images and gradients accumulated over two batches must also survive.
        "data__image_weights": workers > 0,
        "optimizer__nominal_batch": 8 if workers else None,
    }
    whole, _ = train(small(data, model, tmp_path / "whole", data__workers=workers, **settings), RecordingReporter())

    flags = f"""--data {data} --cfg {model} --imgsz 64 --epochs 4 --batch-size 4 --workers {workers} --device cpu
        --project {tmp_path / "runs"} --set schedule.close_mosaic=1 --set augment.mixup=0.2"""
    flags += " --image-weights --set optimizer.nominal_batch=8" if workers else ""
    command = [sys.executable, "-c", KILLED, "train", *flags.split()]
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert process.returncode == -signal.SIGKILL, process.stderr
    folder = RunFolder(tmp_path / "runs" / "exp")
    assert [row["epoch"] for row in rows_of(folder)] == ["1", "2"]
    assert not read_run(folder).finished

    listener = RecordingReporter()
    _, record = train(config_to_resume(folder), listener, resume=folder)
    assert [row["epoch"] for row in listener.rows] == [3, 4]
    assert (record.finished, record.epochs) == (True, 4)
    assert record.command[0] == "train"
    assert rows_of(folder) == rows_of(whole)
    for name in ("last", "best"):
        first, second = (load_file(getattr(run, name)) for run in (folder, whole))
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.fixture
def interrupted(data: Path, model: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    def begin(data: Path = data, **settings: object) -> RunFolder:
        config = small(data, model, tmp_path / "runs", **settings)
        with pytest.raises(Interrupted):
            train(config, InterruptingReporter())
        return RunFolder(tmp_path / "runs" / "exp")

    return begin


def test_a_run_interrupted_after_its_last_epoch_is_completed(interrupted: Callable[..., RunFolder]) -> None:
    folder = interrupted(schedule__epochs=1)
    weights = folder.last.read_bytes()
    listener = RecordingReporter()
    _, record = train(config_to_resume(folder), listener, resume=folder)
    assert listener.rows == []
    assert (record.finished, record.epochs, record.best_epoch) == (True, 1, 1)
    assert record.metrics is not None
    assert folder.last.read_bytes() == weights


def test_a_resumed_run_counts_the_seconds_of_all_its_processes(
    interrupted: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, hour = time.perf_counter, 3600
    delays: list[int] = []
    # The first epoch seems to take an hour.
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + sum(delays))
    monkeypatch.setattr(InterruptingReporter, "on_epoch_start", lambda *_: delays.append(hour))
    folder = interrupted(schedule__epochs=2)
    monkeypatch.undo()
    skip_plots(monkeypatch)
    _, record = train(config_to_resume(folder), RecordingReporter(), resume=folder)
    assert hour < record.seconds["training"] < hour + 600
    assert record.seconds["total"] >= record.seconds["training"] + record.seconds["validation"] - 0.1


def test_a_checkpoint_of_another_version_is_refused(interrupted: Callable[..., RunFolder]) -> None:
    folder = interrupted(schedule__epochs=2)
    checkpoint = torch.load(folder.checkpoint, weights_only=True)
    del checkpoint["callbacks"]["RunRecorder"]["elapsed"]
    torch.save(checkpoint, folder.checkpoint)
    with pytest.raises(WeightsError, match=r"from another version of attendet: 'elapsed' is missing; start a new run"):
        train(config_to_resume(folder), RecordingReporter(), resume=folder)


def test_changed_data_is_refused(interrupted: Callable[..., RunFolder], tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", train=4, val=2)
    folder = interrupted(data=file)
    (tmp_path / "set" / "train" / "labels" / "1.txt").write_text("0 0.5 0.5 0.2 0.2")
    image = tmp_path / "set" / "train" / "images" / "1.png"
    changed = f"{file}: the images or labels of train have changed since the run started: "
    remedy = "name the data set of the run with --data, or start a new run"
    counts = "there must be 4 images and 8 objects, got 4 images and 7 objects; "
    assert refusal(folder) == f"{changed}{counts}the first image that differs is {image}; {remedy}"
    (tmp_path / "set" / "train" / "labels" / "1.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2")
    assert refusal(folder) == f"{changed}the first image that differs is {image}; {remedy}"
    image.unlink()
    assert f"{changed}there must be 4 images and 8 objects, got 3 images and 6 objects; " in refusal(folder)
    file.write_text(file.read_text().replace("blue", "green"))
    assert refusal(folder) == f"{changed}the classes must be red, blue, got red, green; {remedy}"


def refusal(folder: RunFolder, data: Path | None = None) -> str:
    """Return the message of the error about the data of a run that is resumed."""
    with pytest.raises(DataError) as caught:
        train(config_to_resume(folder, data and str(data)), RecordingReporter(), resume=folder)
    return str(caught.value)


def test_moved_data_resumes_bit_for_bit(interrupted: Callable[..., RunFolder], model: Path, tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", train=8, val=4)
    whole, _ = train(small(file, model, tmp_path / "whole", schedule__epochs=3), RecordingReporter())
    folder = interrupted(data=file, schedule__epochs=3)
    moved = tmp_path / "archive" / "moved"
    moved.parent.mkdir()
    (tmp_path / "set").rename(moved)
    remedy = "if it was moved, name it: --resume RUN --data DATA"
    assert refusal(folder) == f"{file}: the data set of the run was not found; {remedy}"
    other = write_set(tmp_path / "other", train=6, val=4)
    assert "have changed since the run started: there must be 8 images and " in refusal(folder, other)

    result = attendet.train(moved / file.name, resume=folder.path)
    assert result.record.configuration["data"]["path"] == str(moved / file.name)
    assert rows_of(folder) == rows_of(whole)
    for name in ("last", "best"):
        first, second = (load_file(getattr(run, name)) for run in (folder, whole))
        assert all(torch.equal(value, second[key]) for key, value in first.items())
    with pytest.raises(OptionError, match=r"`resume` must be the only argument except `data`, got schedule\.seed"):
        attendet.train(moved / file.name, resume=folder.path, seed=1)
