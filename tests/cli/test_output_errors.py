"""Output that cannot be written: a full disk, a reader that has gone, and streams that the caller closed."""

import os
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import attendet as package
from attendet.utils.processes.temporary_files import remove_leftovers
from tests.helpers.command import COMMAND, TIMEOUT_S, CommandResult

MESSAGE = "attendet: No space left on device\n"


def run(*arguments: str, **options: Any) -> CommandResult:
    """Run the command in a new process."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run([COMMAND, *arguments], text=True, timeout=TIMEOUT_S, check=False, **options)  # noqa: S603
    return CommandResult(done.returncode, done.stdout, done.stderr)


def closing(*streams: int) -> Any:
    """Return a function that closes standard streams in a new process."""

    def close() -> None:
        for stream in streams:
            os.close(stream)

    return close


@pytest.mark.parametrize("arguments", [("--help",), ("weights", "inspect", "nowhere.pt")])
def test_a_reader_of_messages_that_has_gone(arguments: Sequence[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(*arguments, stdout=writing, stderr=writing)
    finally:
        os.close(writing)
    assert done.returncode == 141


def test_a_full_disk_behind_standard_output() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("--help", stdout=full)
    assert (done.returncode, done.stderr) == (2, MESSAGE)


@pytest.mark.parametrize("streams", [(1,), (2,), (0, 1, 2)])
def test_closed_streams(tmp_path: Path, streams: tuple[int, ...]) -> None:
    file = tmp_path / "study.yaml"
    done = run("study", "init", str(file), preexec_fn=closing(*streams))
    assert done.returncode == 0
    # The number of a closed stream is not the number of the file.
    assert file.read_text().startswith("#")
    assert "wrote" not in file.read_text()


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    torch.save(package.build("yolov5n", num_classes=2).state_dict(), tmp_path / "a.pt")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))  # noqa: E731
    done = run("weights", "convert", "a.pt", cwd=tmp_path, preexec_fn=limit)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert remove_leftovers(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
