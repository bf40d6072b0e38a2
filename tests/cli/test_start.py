"""Commands that read only models and weights start as fast as torch, and errors about missing files faster than torch.

Time is not measured: slow imports are forbidden by name.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import attendet

# Each of these takes from a tenth of a second to two seconds to import.
SLOW = {
    "av",
    "cv2",
    "faster_coco_eval",
    "lightning",
    "matplotlib",
    "optuna",
    "pandas",
    "ray",
    "scipy",
    "supervision",
    "sympy",
    "tensorboard",
    "torch._dynamo",
    "torch._inductor",
    "torchcam",
    "torchvision",
}
PROGRAM = """
import contextlib, io, json, sys
from attendet.cli.main import run
code = 0
with contextlib.redirect_stdout(io.StringIO()):
    try:
        run()
    except SystemExit as error:
        code = error.code
print(json.dumps([code or 0, list(sys.modules)]))
"""


def imported_by(*args: str) -> tuple[int, set[str]]:
    """Run a command in a new process, and return its exit code and the modules that it imported."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=True)  # noqa: S603
    code, modules = json.loads(done.stdout)
    return code, set(modules)


@pytest.mark.parametrize(
    "args",
    [("check", "yolov5s_CBAM"), ("summary", "yolov5n_CBAM-C3"), ("summary", "yolov5s", "--json"), ("attentions",)],
)
def test_model_commands_import_torch_and_nothing_slow(args: tuple[str, ...]) -> None:
    code, modules = imported_by(*args)
    assert code == 0
    assert "torch" in modules
    assert modules & SLOW == set()


def test_inspecting_weights_imports_torch_and_nothing_slow(tmp_path: Path) -> None:
    file = tmp_path / "yolov5s.pt"
    torch.save(attendet.build("yolov5s", num_classes=2).state_dict(), file)
    code, modules = imported_by("weights", "inspect", str(file))
    assert code == 0
    assert "torch" in modules
    assert modules & SLOW == set()


@pytest.mark.parametrize(
    "args",
    [
        ("check", "nowhere.yaml"),
        ("summary", "nowhere.yaml"),
        ("train", "--data", "nowhere.yaml", "--cfg", "yolov5n"),
        ("train", "--data", ".", "--cfg", "nowhere.yaml"),
        ("train", "--data", ".", "--weights", "nowhere.pt"),
        ("predict", "nowhere.pt", "images"),
        ("val", "nowhere.pt", "--data", "nowhere.yaml"),
        ("explain", "nowhere.pt", "image.jpg"),
        ("weights", "inspect", "nowhere.pt"),
        ("weights", "convert", "nowhere.pt"),
        ("data", "check", "nowhere.yaml"),
        ("study", "run", "nowhere.yaml"),
    ],
)
def test_a_missing_file_is_reported_before_torch_is_imported(args: tuple[str, ...]) -> None:
    code, modules = imported_by(*args)
    assert code == 2
    assert modules & {*SLOW, "torch", "numpy"} == set()


def test_help_imports_nothing_slow() -> None:
    code, modules = imported_by("--help")
    assert code == 0
    assert modules & {*SLOW, "torch", "numpy"} == set()


def test_importing_models_and_surgery_does_not_import_torch() -> None:
    program = (
        "import attendet.models, attendet.models.yaml.lookup, attendet.surgery, sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "False\n"
