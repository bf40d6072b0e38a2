"""`attendet export`: what it prints, its exit codes, and its mistakes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import CommandResult
from tests.helpers.small_training import MODEL

Run = Callable[..., CommandResult]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(MODEL)
    return path


def test_a_model_file_becomes_an_onnx_file(attendet: Run, model: Path, tmp_path: Path) -> None:
    code, out, err = attendet("export", model, "--imgsz", 64, "--out", tmp_path / "o", "--format", "onnx,tensorrt")
    assert code == 0
    assert "small.onnx: converting\nsmall.onnx: comparing with torch" in err
    assert "boxes (fraction of the canvas)" in out
    assert "on synthetic images in batches of 1x3x" in out
    assert f"{tmp_path / 'o' / 'small.onnx'}: 0." in out
    assert f"trtexec --onnx={tmp_path / 'o' / 'small-tensorrt.onnx'}" in out
    assert "--optShapes=images:1x3x64x64" in out
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["small-tensorrt.onnx", "small.onnx"]


def test_a_failed_file_ends_with_code_1(attendet: Run, model: Path, tmp_path: Path) -> None:
    code, out, _ = attendet(
        "export", model, "--imgsz", 64, "--format", "onnx", "--tolerance", 1e-12, "--json", "--out", tmp_path / "o"
    )
    (result,) = json.loads(out)
    assert (code, result["passes"]) == (1, False)
    assert result["path"].endswith("small.onnx.failed")
    assert result["parity"]["differences"].keys() == {"boxes", "scores"}
    assert result["bytes"] == Path(result["path"]).stat().st_size


def test_mistakes_are_reported_in_one_line(attendet: Run, model: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ([], "exactly one network must be named, got none"),
        ([model, "--weights", model], "exactly one network must be named, got"),
        ([tmp_path / "none.pt"], "none.pt"),
        ([model, "--conf", 0.5], "--conf has no effect without --nms; give both"),
        ([model, "--half", "--int8"], "--half cannot be combined with --int8"),
        ([model, "--int8"], "`int8` needs a data set, got none"),
        ([model, "--format", "coreml"], "unknown export format 'coreml'"),
        (
            [model, "--imgsz", "big"],
            "`--imgsz` must be a number of pixels, or height and width as in 384,640, got 'big'",
        ),
        ([model, "--imgsz", "384,640"], "`imgsz` must be one number for a dynamic file, got 384,640; give `static`"),
        ([model, "--batch", 4], "`batch` must be left out for a dynamic file, got 4"),
        ([model, "--static", "--batch", 100_000], "images of a batch must have at most 268,435,456 pixels in total"),
        ([model, "--data", "nowhere.yaml"], "nowhere.yaml: data set not found"),
        ([model, "--format", "ncnn", "--nms"], "`nms` must be left out for ncnn; choose onnx, openvino, torch"),
    ):
        code, out, err = attendet("export", *arguments)
        assert (code, out) == (2, ""), arguments
        assert message in err


def test_a_missing_package_is_named_with_its_command(
    attendet: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    code, _, err = attendet("export", model, "--imgsz", 64, "--out", tmp_path / "o")
    assert code == 2
    assert (
        err.splitlines()[-1] == "attendet: `onnx` must be installed to export to onnx; pip install 'attendet[export]'"
    )
    assert not (tmp_path / "o").exists()
