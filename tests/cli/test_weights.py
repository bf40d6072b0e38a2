"""`attendet weights`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import attendet as package
from attendet.weights.io import opening
from tests.helpers.checkpoints.yolov5_checkpoints import yolov5_file
from tests.helpers.command import CommandResult

NAMES = {0: "red cell", 1: "platelet"}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return yolov5_file(tmp_path / "cells.pt", package.build("yolov5n", num_classes=2), "yolov5n", NAMES)


def test_inspect(attendet: Callable[..., CommandResult], checkpoint: Path) -> None:
    content = json.loads(attendet("weights", "inspect", str(checkpoint), "--json").stdout)
    assert content["kind"] == "module"
    assert content["names"] == ["red cell", "platelet"]
    assert (content["tensors"], content["dtypes"]) == (349, ["float16", "int64"])
    assert content["training"]["epoch"] == 7
    table = attendet("weights", "inspect", str(checkpoint)).stdout
    assert "red cell, platelet" in table
    assert "float16" in table
    assert (content["class"], content["model_file"]) == ("models.yolo.DetectionModel", "in the weights")
    assert (content["opens"], content["reason"], content["attention"]) == (True, None, [])


def test_the_bundled_model_of_a_state_dict_is_found(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    torch.save(package.build("yolov5s_CBAM", num_classes=5).state_dict(), tmp_path / "a.pth")
    content = json.loads(attendet("weights", "inspect", str(tmp_path / "a.pth"), "--json").stdout)
    assert (content["model"], content["num_classes"]) == ("yolov5s_CBAM", 5)
    assert (content["model_file"], content["opens"], content["attention"]) == ("bundled", True, ["cbam at model.9"])
    torch.save({"weight": torch.ones(3)}, tmp_path / "b.pth")
    content = json.loads(attendet("weights", "inspect", str(tmp_path / "b.pth"), "--json").stdout)
    assert (content["model"], content["names"], content["opens"]) == (None, [], False)
    assert "the file does not name its model" in content["reason"]


def test_a_file_whose_tensors_do_not_fit_its_model_does_not_open(
    attendet: Callable[..., CommandResult], checkpoint: Path, tmp_path: Path
) -> None:
    # The card of one model, the tensors of another; attached attention, and attention in rows.
    card = opening.open(checkpoint).card
    other = package.build("yolov5n", num_classes=3)
    package.attach(other, "cbam", "before:SPPF")
    package.save_weights(other, tmp_path / "a.safetensors", card)
    content = json.loads(attendet("weights", "inspect", str(tmp_path / "a.safetensors"), "--json").stdout)
    assert not content["opens"]
    assert content["reason"].startswith("the tensors do not match the model yolov5n: kept")
    assert content["attention"] == ["cbam at model.9"]
    assert "opens        no" in attendet("weights", "inspect", str(tmp_path / "a.safetensors")).stdout
    rows = yolov5_file(tmp_path / "b.pt", package.build("yolov5n", num_classes=2), "yolov5n_CBAM", NAMES)
    content = json.loads(attendet("weights", "inspect", str(rows), "--json").stdout)
    assert (content["opens"], content["attention"]) == (False, ["CBAM in row 9"])


def test_convert(attendet: Callable[..., CommandResult], checkpoint: Path) -> None:
    done = attendet("weights", "convert", str(checkpoint))
    assert done.returncode == 0
    target = checkpoint.with_suffix(".safetensors")
    assert load_file(target).keys() == package.build("yolov5n").state_dict().keys()
    opened = opening.open(target)
    assert opened.names == ("red cell", "platelet")
    images = torch.rand(1, 3, 64, 64)
    for raw, expected in zip(opened.detector(images), opening.open(checkpoint).detector(images), strict=True):
        assert torch.equal(raw, expected)
    assert done.stdout == f"{target}: 349 tensors, yolov5n with 2 classes\n"
    converted = json.loads(attendet("weights", "convert", str(checkpoint), "--out", "b.safetensors", "--json").stdout)
    assert converted == {"file": "b.safetensors", "tensors": 349, "model": "yolov5n", "num_classes": 2}
    again = attendet("weights", "convert", str(checkpoint))
    assert again.returncode == 2
    assert "cells.safetensors: already exists; choose another name" in again.stderr


def test_files_that_cannot_be_read(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"no weights")
    for verb in ("inspect", "convert"):
        done = attendet("weights", verb, str(tmp_path / "a.pt"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "a.pt: the file is not a weights file; supported are" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("name", ["m.onnx", "m.ONNX", "m.engine", "m.torchscript", "m.tflite", "m.mlpackage"])
def test_convert_does_not_export(attendet: Callable[..., CommandResult], checkpoint: Path, name: str) -> None:
    done = attendet("weights", "convert", str(checkpoint), "--out", str(checkpoint.with_name(name)))
    assert (done.returncode, done.stdout) == (2, "")
    remedy = "attendet export writes files for other runtimes"
    assert done.stderr == f"attendet: `--out` must be a .safetensors file, got {name!r}; {remedy}\n"
    assert [path.name for path in checkpoint.parent.iterdir()] == ["cells.pt"]


def test_verify(attendet: Callable[..., CommandResult], checkpoint: Path, tmp_path: Path) -> None:
    done = attendet("weights", "verify", str(checkpoint))
    assert (done.returncode, done.stdout) == (0, f"{checkpoint}: no digest\n")
    run = tmp_path / "run"
    package.save_weights(package.build("yolov5n", num_classes=2), run / "weights" / "best.safetensors")
    file = run / "weights" / "last.safetensors"
    package.save_weights(package.build("yolov5n", num_classes=2), file)
    (run / "run.json").write_text("{}")
    content = bytearray(file.read_bytes())
    content[-1] ^= 128
    file.write_bytes(content)
    done = attendet("weights", "verify", str(run))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        f"{run / 'run.json'}: no digest",
        f"{run / 'weights' / 'best.safetensors'}: intact",
        f"{file}: damaged",
    ]
    states = json.loads(attendet("weights", "verify", str(run), "--json").stdout)
    assert list(states.values()) == ["no digest", "intact", "damaged"]


def test_exported_files_are_not_weights(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    exported = tmp_path / "best.onnx"
    exported.write_bytes(b"a graph")
    for verb in (["weights", "inspect"], ["weights", "convert"]):
        done = attendet(*verb, str(exported))
        assert (done.returncode, done.stdout) == (2, "")
        assert "best.onnx: an exported file is read by its own runtime, and has no weights for torch" in done.stderr
