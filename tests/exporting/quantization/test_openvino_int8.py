"""OpenVINO files that NNCF quantizes: their quality, their operators, and the decoding in floating point."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from attendet.errors import OptionError
from attendet.exporting.openvino_file import describe_openvino
from attendet.exporting.parity import QualityComparison
from attendet.exporting.quantization import MAX_LOSS, CalibrationImages, quantize_openvino
from attendet.exporting.quantization.openvino_int8 import decoding_operators
from attendet.runtimes import FileDescription
from attendet.runtimes.extras import require
from attendet.runtimes.runtime_files import open_file

# `importorskip` would import them, and send a report to their maker.
if not all(map(find_spec, ("openvino", "nncf"))):
    pytest.skip("needs openvino and nncf", allow_module_level=True)


@pytest.fixture(scope="module")
def quantized(
    onnx_file: Path,
    calibration: CalibrationImages,
    description: FileDescription,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("openvino") / "int8.xml"
    quantize_openvino(onnx_file, path, calibration)
    describe_openvino(path, description)
    return path


def test_quality_passes_the_gate(quantized: Path, map_in_torch: float, map_of: Callable[[Path], float]):
    outcome = QualityComparison(map_in_torch, map_of(quantized), images=48, limit=MAX_LOSS)
    assert outcome.passes, outcome


def test_convolutions_are_quantized_and_the_decoding_is_not(quantized: Path):
    """Counts on the written file: all convolutions have 8-bit weights, and nothing behind the heads is quantized."""
    model = require("openvino", "int8", "test").Core().read_model(quantized)
    operators = {operator.get_friendly_name(): operator for operator in model.get_ops()}
    types = [operator.get_type_name() for operator in operators.values()]
    eight_bits = {"i8", "u8"}
    stored = [
        operator
        for operator in operators.values()
        if operator.get_type_name() == "Constant" and operator.get_element_type().get_type_name() in eight_bits
    ]
    assert "FakeQuantize" in types
    assert len(stored) >= types.count("Convolution")
    decoding = {operators[name] for name in decoding_operators(model)}
    assert len(decoding) > 30
    assert not [operator for operator in decoding if operator.get_type_name() == "FakeQuantize"]


def test_decoding_ends_at_the_output(onnx_file: Path):
    model = require("openvino", "int8", "test").Core().read_model(onnx_file)
    names = decoding_operators(model)
    assert len(set(names)) == len(names)
    assert model.get_results()[0].get_friendly_name() in names
    types = {operator.get_friendly_name(): operator.get_type_name() for operator in model.get_ops()}
    assert {"Sigmoid", "Concat", "Result"} <= {types[name] for name in names}
    assert "Convolution" not in {types[name] for name in names}


def test_operators_with_one_name_get_different_names(onnx_file: Path):
    model = require("openvino", "int8", "test").Core().read_model(onnx_file)
    for operator in model.get_ops():
        operator.set_friendly_name("same")
    names = decoding_operators(model)
    assert len(set(names)) == len(names) > 30


def test_batch_and_size_stay_dynamic(quantized: Path, onnx_file: Path, calibration: CalibrationImages):
    wide = torch.from_numpy(np.concatenate([*calibration[:3]]).repeat(2, axis=3))
    expected, actual = (open_file(file, "cpu").predict(wide) for file in (onnx_file, quantized))
    assert actual.shape == expected.shape
    confident = expected[..., 4:].amax(-1) > 0.5
    assert confident.any()
    assert (actual[..., :4] - expected[..., :4])[confident].abs().mean() < 1.5


def test_nothing_is_left_behind_or_printed(
    onnx_file: Path,
    calibration: CalibrationImages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    for name in ("work", "temporary", "files", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    quantize_openvino(onnx_file, tmp_path / "files" / "a.xml", calibration[:2])
    assert [list((tmp_path / name).iterdir()) for name in ("work", "temporary", "home")] == [[], [], []]
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["a.bin", "a.xml"]
    assert capfd.readouterr() == ("", "")


def test_no_images(onnx_file: Path, tmp_path: Path):
    with pytest.raises(OptionError, match="`images` must have at least one calibration image, got none"):
        quantize_openvino(onnx_file, tmp_path / "a.xml", [])
    assert not list(tmp_path.iterdir())


def test_torch_does_not_mention_cuda_on_the_terminal(tmp_path: Path):
    """In a new process: while NNCF quantizes, it imports the extensions of torch, which look for a compiler."""
    program = """
import sys, types, numpy as np, torch
from pathlib import Path
from attendet.exporting.onnx_file import write_onnx
from attendet.exporting.program import export_program
from attendet.exporting.quantization import quantize_openvino
from attendet.runtimes import FileDescription
class Network(torch.nn.Sequential):
    def forward(self, images):
        return (super().forward(images),)
network = Network(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3)).eval()
folder = Path(sys.argv[1])
description = FileDescription(kind="network", outputs=("output",), weights_digest="", versions={})
write_onnx(export_program(network, torch.zeros(1, 3, 32, 32), dynamic=False), folder / "a.onnx", description)
images = np.random.default_rng(0).random((4, 1, 3, 32, 32), dtype=np.float32)
quantize_openvino(folder / "a.onnx", folder / "a.xml", list(images))
"""
    environment = {**os.environ, "CUDA_HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "CUDA" not in result.stderr
    assert (tmp_path / "a.xml").is_file()
