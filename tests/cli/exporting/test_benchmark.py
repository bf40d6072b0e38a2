"""`attendet benchmark` on a small network."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attendet.exporting import ExportOptions
from attendet.exporting.benchmarking import variant_files
from tests.helpers.command import CommandResult
from tests.helpers.small_training import MODEL

Command = Callable[..., CommandResult]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(MODEL)
    return tmp_path / "small.yaml"


def test_a_benchmark_prints_a_table_and_writes_its_files(attendet: Command, model: Path, tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    out = tmp_path / "measured"
    result = attendet(
        "benchmark", model, "--format", "onnx", "--imgsz", 64, "--repeats", 3, "--threads", 1, "--out", out
    )
    assert result.returncode == 0, result.stderr
    assert "mAP" not in result.stdout
    assert "synthetic input of 1x3x64x64, 1 thread" in result.stdout
    values = json.loads((out / "benchmark.json").read_text())
    eager, onnx = values["rows"]
    assert (eager["name"], onnx["name"]) == ("torch-eager", "onnx")
    for row in (eager, onnx):
        durations = row["latency"]["milliseconds"]
        assert len(durations) == 3
        assert row["latency"]["median"] == pytest.approx(np.median(durations))
        assert f"{row['latency']['median']:.1f}" in result.stdout
        assert row["memory_bytes"] > 0
    ratios = np.divide(eager["latency"]["milliseconds"], onnx["latency"]["milliseconds"])
    assert onnx["speedup"] == pytest.approx(np.median(ratios))
    assert onnx["file_bytes"] == (out / "small.onnx").stat().st_size
    assert 0 <= onnx["difference"] < 1e-3
    with Image.open(out / "benchmark.png") as picture:
        assert picture.width > 500


def test_json_is_all_that_is_printed(attendet: Command, model: Path) -> None:
    result = attendet(
        "benchmark", model, "--format", "torch-eager", "--imgsz", 64, "--batch", 2, "--repeats", 1, "--json"
    )
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["input_shape"] == [2, 3, 64, 64]
    assert [row["name"] for row in values["rows"]] == ["torch-eager"]
    assert values["rows"][0]["speedup"] == 1


def test_a_file_that_differs_is_a_row_with_the_reason(
    attendet: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    monkeypatch.setattr(variant_files, "ExportOptions", partial(ExportOptions, tolerance=1e-12))
    result = attendet("benchmark", model, "--format", "onnx", "--imgsz", 64, "--repeats", 1)
    assert result.returncode == 1
    assert "more than 1e-12" in result.stdout
    assert "failed" in next(line for line in result.stdout.splitlines() if line.startswith("onnx "))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "onx"), "onnx"),
        (("--format", "ncnn"), "`ncnn` must be installed to measure ncnn; pip install 'attendet[ncnn]'"),
        (("--format", "torch", "--int8"), "`int8` needs one of the formats onnx, openvino"),
        (("--data", "nowhere"), "data set not found"),
        (("--weights", "other.safetensors"), "exactly one network must be named"),
        (("--repeats", "0"), "--repeats"),
    ],
)
def test_mistakes_are_one_line(
    attendet: Command, model: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", None)
    result = attendet("benchmark", model, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_int8_needs_a_data_set(attendet: Command, model: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    result = attendet("benchmark", model, "--format", "onnx", "--int8")
    assert result.returncode == 2
    assert "`int8` needs a data set" in result.stderr
