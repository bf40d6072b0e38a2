"""The example in C++ prints the detections of attendet-runtime."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attendet_runtime.detections import Detections
from attendet_runtime.detector import Detector, Options
from tests.helpers.calibrated_detector import photographs
from tests.helpers.command import TIMEOUT_S
from tests.runtime_distribution.exported_files import (
    baked_description,
    fixed_description,
    with_description,
    write_constant_graph,
)
from tests.runtime_distribution.same_detections import assert_same_objects
from tests.runtime_distribution.test_detecting import BAKED

EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp"
INCLUDE_FOLDERS = [
    Path(os.environ.get("ONNXRUNTIME_INCLUDE", "/usr/include/onnxruntime")),
    Path("/usr/local/include/onnxruntime"),
]
"""Folders that may have the headers of onnxruntime, which its packages for Python do not contain."""


def run(command: list[object]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (our own program)
        [str(part) for part in command], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the example with the library in the package for Python."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("needs CMake and a C++ compiler")
    include = next((folder for folder in INCLUDE_FOLDERS if (folder / "onnxruntime_cxx_api.h").exists()), None)
    if include is None:
        pytest.skip("needs the headers of onnxruntime: Debian's libonnxruntime-dev, or $ONNXRUNTIME_INCLUDE")
    [library] = Path(sysconfig.get_path("purelib"), "onnxruntime", "capi").glob("libonnxruntime.so.*")
    build = tmp_path_factory.mktemp("cpp")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (build / name).symlink_to(library)
    options = [f"-DONNXRUNTIME_INCLUDE={include}", f"-DONNXRUNTIME_LIBRARY={build / 'libonnxruntime.so'}"]
    for command in (
        ["cmake", "-S", EXAMPLE, "-B", build / "out", *options, "-DCMAKE_CXX_FLAGS=-Werror"],
        ["cmake", "--build", build / "out"],
    ):
        built = run(command)
        assert built.returncode == 0, built.stdout + built.stderr
    return build / "out" / "detect"


def write_ppm(image: np.ndarray, path: Path) -> Path:
    Image.fromarray(image).save(path)
    return path


def detections_of(result: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_equal(found: list[dict[str, object]], expected: Detections) -> None:
    assert_same_objects(found, expected.to_list(), pixels=0.01)


@pytest.mark.parametrize(("scale", "confidence"), [(1, 0.6), (0.2, 0.5), (0.3, 0.25)])
def test_photographs_have_the_same_detections(
    program: Path, onnx_file: Path, tmp_path: Path, scale: float, confidence: float
) -> None:
    """The photographs shrink, or grow, on their canvases."""
    for photograph in photographs():
        size = round(photograph.shape[1] * scale), round(photograph.shape[0] * scale)
        image = np.array(Image.fromarray(photograph).resize(size))
        path = write_ppm(image, tmp_path / "a.ppm")
        expected = Detector(onnx_file, Options(confidence=confidence, iou=0.4, max_detections=1000))(image)
        assert len(expected) > 10
        assert_equal(detections_of(run([program, onnx_file, path, confidence, 0.4])), expected)


def test_a_file_for_one_shape_has_the_same_detections(program: Path, onnx_file: Path, tmp_path: Path) -> None:
    description = fixed_description(224, 160, imgsz=224, strides=(8.0, 16.0, 32.0))
    file = with_description(onnx_file, tmp_path / "fixed.onnx", description)
    path = write_ppm(photographs()[1], tmp_path / "a.ppm")
    assert_equal(detections_of(run([program, file, path, 0.5])), Detector(file, Options(confidence=0.5))(path))


def test_detections_in_the_file_are_used_as_they_are(program: Path, tmp_path: Path) -> None:
    names = ('cat "Δ"', "white\n dog\U0001f415")
    description = baked_description(names=names, shape={"batch": 2})
    file = write_constant_graph(tmp_path / "a.onnx", {"detections": BAKED}, description)
    path = write_ppm(np.zeros((32, 64, 3), np.uint8), tmp_path / "a.ppm")
    found = detections_of(run([program, file, path]))
    assert [each["name"] for each in found] == [names[1], names[0]]
    assert_equal(found, Detector(file)(path))
    for arguments, message in [
        ([0.1], "CONFIDENCE must be at least 0.25"),
        ([0.3, 0.5], "IOU must be left out, because the file contains its non-maximum suppression"),
    ]:
        refused = run([program, file, path, *arguments])
        assert refused.returncode == 2
        assert message in refused.stderr


def test_mistakes_are_one_line(program: Path, onnx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.ppm").write_text("text")
    (tmp_path / "short.ppm").write_text("P6 4 4 255\nabc")
    path = write_ppm(np.zeros((32, 64, 3), np.uint8), tmp_path / "a.ppm")
    for arguments, message in [
        ([onnx_file], "usage: detect FILE.onnx IMAGE.ppm"),
        ([tmp_path / "no.onnx", path], "no.onnx"),
        ([onnx_file, tmp_path / "no.ppm"], "no.ppm: the image must be a binary PPM file"),
        ([onnx_file, tmp_path / "text.ppm"], "text.ppm: the image must be a binary PPM file"),
        ([onnx_file, tmp_path / "short.ppm"], "short.ppm: the file is truncated"),
        ([onnx_file, path, "much"], "CONFIDENCE and IOU must be numbers from 0 to 1, got much"),
    ]:
        refused = run([program, *arguments])
        assert refused.returncode == 2
        assert message in refused.stderr
        assert refused.stdout == ""
