"""`attendet explain` with a data set: which options belong to what."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import CommandResult


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "there is nothing to explain attention by; name images, or give --data data.yaml"),
        (["a.png", "--data", "a.yaml"], "there are images and a data set"),
        (["a.png", "--limit", "3"], "--limit without --data; give both"),
        (["a.png", "--split", "test"], "--split without --data; give both"),
        (["--data", "a.yaml", "--class", "cell"], "--class beside --data; leave one of them out"),
        (["--data", "a.yaml", "--conf-thres", "0.5"], "--conf-thres beside --data"),
    ],
)
def test_what_does_not_go_together(attendet: Callable[..., CommandResult], options: list[str], message: str) -> None:
    done = attendet("explain", "best.safetensors", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"attendet: {message}")
    assert done.stderr.count("\n") == 1


def test_no_image_at_all_cannot_be_asked_for(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("explain", "best.safetensors", "--data", "a.yaml", "--limit", "0")
    assert done.returncode == 2
    assert "'--limit'" in done.stderr


def test_nothing_is_overwritten(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    done = attendet("explain", "best.safetensors", "--data", "a.yaml", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"attendet: {tmp_path}: it exists; name a new one\n"
