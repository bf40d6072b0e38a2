"""`attendet weights`, and weights of others on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import attendet as package
from attendet.weights.io import open_detector
from tests.helpers.command import CommandResult
from tests.helpers.yolov5_checkpoints import yolov5_file

NAMES = {0: "red cell", 1: "platelet"}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return yolov5_file(tmp_path / "cells.pt", package.build("yolov5n", num_classes=2), "yolov5n", NAMES)


def test_inspect(attendet: Callable[..., CommandResult], checkpoint: Path) -> None:
    facts = json.loads(attendet("weights", "inspect", str(checkpoint), "--json").stdout)
    assert facts["kind"] == "module"
    assert facts["names"] == ["red cell", "platelet"]
    assert (facts["tensors"], facts["dtypes"]) == (349, ["float16", "int64"])
    assert facts["training"]["epoch"] == 7
    shown = attendet("weights", "inspect", str(checkpoint)).stdout
    assert "red cell, platelet" in shown
    assert "float16" in shown


def test_a_state_dict_says_which_bundled_model_it_fits(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    torch.save(package.build("yolov5s_CBAM", num_classes=5).state_dict(), tmp_path / "a.pth")
    facts = json.loads(attendet("weights", "inspect", str(tmp_path / "a.pth"), "--json").stdout)
    assert (facts["fits"], facts["classes"]) == ("yolov5s_CBAM", 5)
    torch.save({"weight": torch.ones(3)}, tmp_path / "b.pth")
    facts = json.loads(attendet("weights", "inspect", str(tmp_path / "b.pth"), "--json").stdout)
    assert (facts["fits"], facts["names"]) == (None, [])


def test_convert(attendet: Callable[..., CommandResult], checkpoint: Path) -> None:
    done = attendet("weights", "convert", str(checkpoint))
    assert done.returncode == 0
    target = checkpoint.with_suffix(".safetensors")
    assert load_file(target).keys() == package.build("yolov5n").state_dict().keys()
    detector, card = open_detector(target)
    assert card.names == ("red cell", "platelet")
    images = torch.rand(1, 3, 64, 64)
    for raw, expected in zip(detector(images), open_detector(checkpoint)[0](images), strict=True):
        assert torch.equal(raw, expected)
    again = attendet("weights", "convert", str(checkpoint))
    assert again.returncode == 2
    assert "cells.safetensors: it exists; name a new one" in again.stderr


def test_what_cannot_be_read(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"no weights")
    for verb in ("inspect", "convert"):
        done = attendet("weights", verb, str(tmp_path / "a.pt"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "a.pt: it is no file of weights" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
