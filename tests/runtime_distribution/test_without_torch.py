"""The wheel of attendet-runtime, installed into a new environment, detects objects where torch cannot be imported."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attendet
import attendet_runtime
from attendet_runtime.detector import Detector
from tests.helpers.calibrated_detector import photographs
from tests.helpers.command import TIMEOUT_S
from tests.runtime_distribution.conftest import RUNTIME

NEEDED = ("numpy", "onnxruntime", "PIL", "google", "flatbuffers", "packaging")
"""The modules of numpy, onnxruntime, and Pillow, and of the packages that onnxruntime needs."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a copy of the distribution, without a network."""
    copy = tmp_path_factory.mktemp("build") / "runtime"
    shutil.copytree(RUNTIME, copy, ignore=shutil.ignore_patterns("dist", "__pycache__"))
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=copy, check=True, timeout=TIMEOUT_S)
    [path] = (copy / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment that has the wheel and its dependencies only, linked from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if re.split(r"[.-]", installed.name)[0] in (*NEEDED, "pillow"):
            (packages / installed.name).symlink_to(installed)
    install = [Path(sys.executable).with_name("uv"), "pip", "install", "--offline", "--no-deps", "--quiet"]
    command = [*install, "--python", folder / "bin" / "python", wheel]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)  # noqa: S603 (our own command)
    return folder


def run(environment: Path, program: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment in a folder, without variables of this process that Python reads."""
    return subprocess.run(  # noqa: S603 (our own command)
        [environment / "bin" / program, *map(str, arguments)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("module", ["torch", "cv2", "attendet", "supervision", "matplotlib", "pydantic"])
def test_the_environment_has_no_other_packages(module: str, environment: Path, tmp_path: Path) -> None:
    found = run(environment, "python", "-c", f"import {module}", folder=tmp_path)
    assert found.returncode == 1
    assert f"No module named '{module}'" in found.stderr


def test_the_command_detects_objects(environment: Path, onnx_file: Path, tmp_path: Path) -> None:
    Image.fromarray(photographs()[0]).save(tmp_path / "photo.png")
    result = run(environment, "attendet-runtime", onnx_file, "photo.png", "--json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    [entry] = json.loads(result.stdout)
    expected = Detector(onnx_file)(photographs()[0])
    assert entry["image"] == "photo.png"
    assert len(entry["detections"]) == len(expected) > 10
    np.testing.assert_allclose([each["box"] for each in entry["detections"]], expected.xyxy, atol=0.5)
    [picture] = (tmp_path / "runs" / "attendet-runtime" / "exp").iterdir()
    with Image.open(picture) as drawn:
        assert drawn.size == (640, 427)


def test_the_module_and_the_version(environment: Path, tmp_path: Path) -> None:
    for program, arguments in [("attendet-runtime", []), ("python", ["-m", "attendet_runtime"])]:
        result = run(environment, program, *arguments, "--version", folder=tmp_path)
        assert result.stdout == f"attendet-runtime {attendet.__version__}\n"
    mistake = run(environment, "attendet-runtime", "no.onnx", "photo.jpg", folder=tmp_path)
    assert (mistake.returncode, mistake.stderr) == (2, "no.onnx: file not found\n")


def test_the_wheel_has_its_license_and_all_modules(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.rpartition("/")[2] for name in names} >= {"LICENSE", "NOTICE", "METADATA", "py.typed"}
    modules = {path.name for path in (RUNTIME / "src" / "attendet_runtime").glob("*.py")}
    assert {name.rpartition("/")[2] for name in names if name.endswith(".py")} == modules
    assert (RUNTIME / "LICENSE").read_bytes() == (RUNTIME.parent / "LICENSE").read_bytes()


def test_the_environment_is_smaller_than_200_megabytes(environment: Path) -> None:
    """Compiled modules of Python and links to folders count, too."""
    [packages] = environment.glob("lib/python*/site-packages")
    files = [path for entry in packages.iterdir() for path in [entry, *entry.resolve().rglob("*")] if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    assert 100e6 < size < 200e6


def test_it_needs_three_packages_and_has_the_version_of_attendet() -> None:
    project = tomllib.loads((RUNTIME / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[^a-z]", each)[0] for each in project["dependencies"]] == ["numpy", "onnxruntime", "pillow"]
    assert attendet_runtime.__version__ == attendet.__version__
