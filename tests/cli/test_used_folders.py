"""Two commands in one folder are refused, and the message names the other process."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import attendet as package
from attendet.training.run_folder import RunFolder
from attendet.training.runner import train
from attendet.utils.processes.folder_lock import exclusive_lock
from attendet.utils.processes.temporary_files import remove_leftovers
from tests.helpers.calibrated_detector import write_weights
from tests.helpers.command import CommandResult
from tests.helpers.small_studies import write_small
from tests.helpers.small_training import MODEL, Interrupted, InterruptingReporter, small, write_set


@pytest.fixture
def interrupted(tmp_path: Path, without_plots: None) -> RunFolder:  # noqa: ARG001
    """Return a run that was interrupted after its first epoch."""
    (tmp_path / "small.yaml").write_text(MODEL)
    config = small(write_set(tmp_path / "set", train=4, val=2), tmp_path / "small.yaml", tmp_path / "runs")
    with pytest.raises(Interrupted):
        train(config, InterruptingReporter())
    return RunFolder(tmp_path / "runs" / "exp")


def test_a_run_is_neither_resumed_nor_replaced_while_it_continues(
    attendet: Callable[..., CommandResult], interrupted: RunFolder
) -> None:
    before = {path: path.read_bytes() for path in interrupted.path.rglob("*") if path.is_file()}
    train_again = "train --data set/data.yaml --cfg small.yaml --imgsz 64 --epochs 1 --device cpu --exist-ok"
    with exclusive_lock(interrupted.path, "run"):
        for command in ("train --resume runs/exp", f"{train_again} --out runs/exp"):
            code, out, err = attendet(*shlex.split(command))
            assert (code, out) == (2, "")
            assert f"runs/exp: another process works in this folder: process {os.getpid()} on " in err
            assert err.endswith("; wait until its run has ended, or stop it\n")
    assert {path: path.read_bytes() for path in interrupted.path.rglob("*") if path.is_file()} == before


def test_a_resumed_run_removes_what_the_killed_one_left(
    attendet: Callable[..., CommandResult], interrupted: RunFolder
) -> None:
    leftover = interrupted.path / "weights" / ".attendet-0123456789abcdef0123456789abcdef"
    leftover.mkdir()
    (leftover / "last.safetensors").write_bytes(bytes(100))
    assert attendet("train", "--resume", interrupted.path).returncode == 0
    assert not leftover.exists()
    assert remove_leftovers(interrupted.path) == []
    assert not (interrupted.path / ".lock").exists()


def test_results_of_two_commands_never_mix(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    weights, data = tmp_path / "a.safetensors", write_set(tmp_path / "set", train=1, val=1)
    write_weights(weights, package.build("yolov5n", num_classes=2), model="yolov5n", names=("red", "blue"))
    commands = (
        f"predict {weights} set/val/images/0.png --imgsz 64 --out made --exist-ok",
        f"val {weights} --data {data} --imgsz 64 --out made --exist-ok",
    )
    with exclusive_lock(tmp_path / "made", "run"):
        for command in commands:
            code, _, err = attendet(*shlex.split(command), "--device", "cpu")
            assert code == 2
            assert err.splitlines()[-1].startswith("attendet: made: another process works in this folder: process ")
        assert [path.name for path in (tmp_path / "made").iterdir()] == [".lock"]
    for command in commands:
        assert attendet(*shlex.split(command), "--device", "cpu").returncode == 0
    assert not (tmp_path / "made" / ".lock").exists()


def test_a_study_in_a_used_folder_is_refused(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    file = write_small(tmp_path, "{a: , b: se:reduction=2@after:Conv}")
    with exclusive_lock(tmp_path / "made", "study"):
        code, _, err = attendet("study", "run", file, "--out", "made")
    assert code == 2
    assert err.endswith("; wait until its study has ended, or stop it\n")
