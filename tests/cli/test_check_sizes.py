"""`attendet check` and `attendet summary` of files that list several sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.models.yaml.lookup import load_model_file
from tests.helpers.command import CommandResult
from tests.models.family_files import PARAMETERS, family_text

SPPF, CBAM = "  - [-1, 1, SPPF, [1024, 5]]\n", "  - [-1, 1, CBAM, [1024]]\n"


def stale(folder: Path, name: str, family: str = "yolov8") -> Path:
    """Write a file with CBAM before SPPF and the numbers of the original."""
    text = family_text(family)
    assert text.count(SPPF) == 1
    file = folder / name
    file.write_text(text.replace(SPPF, CBAM + SPPF))
    return file


@pytest.mark.parametrize(
    ("family", "numbers"), [("yolov8", ("12", "9", "15, 18, 21")), ("yolo11", ("13", "10", "16, 19, 22"))]
)
def test_stale_numbers_are_named_and_repaired(
    family: str, numbers: tuple[str, ...], attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    file, fixed = stale(tmp_path, f"{family}s_CBAM.yaml", family), f"{family}s_fixed.yaml"
    done = attendet("check", file.name)
    assert done.returncode == 1
    for written in numbers:
        assert f"still reads {written}, the row number" in done.stdout
    done = attendet("check", file.name, "--fix", fixed)
    assert (done.returncode, "remark: by its name" in done.stdout) == (0, False)
    assert f"wrote {fixed}" in done.stdout
    done = attendet("check", fixed)
    assert (done.returncode, "no faults" in done.stdout) == (0, True)


def test_a_copy_whose_name_selects_another_size_is_reported(
    attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    file = stale(tmp_path, "yolov8s_CBAM.yaml")
    done = attendet("check", file.name, "--fix", "fixed.yaml")
    assert done.returncode == 0
    remark = "by its name, fixed.yaml is size n, and yolov8s_CBAM.yaml is size s; rename it, or add the line `scale: s`"
    assert f"remark: {remark}" in done.stdout
    fixed = tmp_path / "fixed.yaml"
    assert (load_model_file(file).size, load_model_file(fixed).size) == ("s", "n")
    with fixed.open("a") as opened:
        opened.write("scale: s\n")
    assert load_model_file(fixed).size == "s"


def test_the_check_names_the_size(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    (tmp_path / "yolov8-s.yaml").write_text(family_text("yolov8"))
    assert attendet("check", "yolov8-s.yaml").stdout == "yolov8-s.yaml, size s: no faults\n"
    assert json.loads(attendet("check", "yolov8-s.yaml", "--json").stdout)["size"] == "s"
    (tmp_path / "mine.yaml").write_text(family_text("yolov8"))
    done = attendet("check", "mine.yaml")
    assert done.returncode == 0
    assert "remark: mine.yaml: the name of the file selects none of its sizes; n, the first one, is used" in done.stdout
    assert "mine.yaml, size n: no faults" in done.stdout


def test_the_summary_names_the_size(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    (tmp_path / "yolo11m.yaml").write_text(family_text("yolo11"))
    printed = attendet("summary", "yolo11m.yaml").stdout
    assert "yolo11m.yaml, size m, 80 classes, 640 px" in printed
    assert f"{PARAMETERS['yolo11']['m']:,} parameters" in printed
    summary = json.loads(attendet("summary", "yolo11m.yaml", "--json").stdout)
    assert (summary["size"], summary["parameters"]) == ("m", PARAMETERS["yolo11"]["m"])
