"""`attendet explain` with a data set: the options that apply."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import CommandResult


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no image is given; name images, or give --data data.yaml"),
        (["a.png", "--data", "a.yaml"], "images and a data set are given; name images, or give --data data.yaml"),
        (["a.png", "--limit", "3"], "--limit has no effect without --data; give both"),
        (["a.png", "--split", "test"], "--split has no effect without --data; give both"),
        (["a.png", "--batch-size", "4"], "--batch-size has no effect without --data; give both"),
        (["--data", "a.yaml", "--class", "cell"], "--class has no effect with --data; give one of them"),
        (["--data", "a.yaml", "--conf-thres", "0.5"], "--conf has no effect with --data; give one of them"),
        (["--data", "nowhere.yaml"], "nowhere.yaml: data set not found"),
        (["a.png", "--visualize"], "attendet explain has no option --visualize"),
    ],
)
def test_options_that_do_not_apply(
    attendet: Callable[..., CommandResult], tmp_path: Path, options: list[str], message: str
) -> None:
    for name in ("best.safetensors", "a.yaml"):
        (tmp_path / name).touch()
    done = attendet("explain", "best.safetensors", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"attendet: {message}")
    assert done.stderr.count("\n") == 1


def test_the_limit_is_at_least_one_image(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("explain", "best.safetensors", "--data", "a.yaml", "--limit", "0")
    assert done.returncode == 2
    assert "'--limit'" in done.stderr


def test_nothing_is_overwritten(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").touch()
    done = attendet("explain", "best.safetensors", "--data", "a.yaml", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"attendet: {tmp_path}: already exists; choose another name\n"
