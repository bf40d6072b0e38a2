"""Model files of YOLOv8 and later families: their rows are checked, and building them is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

import attendet
from attendet.errors import ModelFileError
from attendet.models.lint.checker import check_model_file, fix_model_file
from attendet.models.planning import plan_model
from attendet.models.yaml.model_file import read_model_file

HEADER = "nc: 3\nscales:\n  n: [0.33, 0.25, 1024]\n  s: [0.33, 0.50, 1024]\n  l: [1.0, 1.0, 512]\n"
BLOCKS = {
    "YOLOv8": ["C2f, [{}, True]"] * 4 + ["C2f, [{}]"] * 4,
    "YOLO11": ["C3k2, [{}, False, 0.25]"] * 2
    + ["C3k2, [{}, True]"] * 2
    + ["C3k2, [{}, False]"] * 3
    + ["C3k2, [{}, True]"],
}
CONCATS = {"YOLOv8": (6, 4, 12, 9), "YOLO11": (6, 4, 13, 10)}
LEVELS = {"YOLOv8": (15, 18, 21), "YOLO11": (16, 19, 22)}


def text_of(family: str, *, inserted: str = "", concats: tuple[int, ...] = (), levels: tuple[int, ...] = ()) -> str:
    """Write the file of a family, with a row inserted before SPPF."""
    blocks = iter(BLOCKS[family])
    concat = iter(concats or CONCATS[family])
    rows = ["-1, 1, Conv, [64, 3, 2]"]
    for width in (128, 256, 512, 1024):
        rows += [f"-1, 1, Conv, [{width}, 3, 2]", f"-1, 3, {next(blocks).format(width)}"]
    rows += [inserted] if inserted else []
    rows += ["-1, 1, SPPF, [1024, 5]", *(["-1, 2, C2PSA, [1024]"] if family == "YOLO11" else [])]
    backbone = len(rows)
    for width, step in ((512, "nn.Upsample, [None, 2, nearest]"), (256, "nn.Upsample, [None, 2, nearest]")):
        rows += [f"-1, 1, {step}", f"[-1, {next(concat)}], 1, Concat, [1]", f"-1, 3, {next(blocks).format(width)}"]
    for width in (512, 1024):
        rows += [f"-1, 1, Conv, [{width // 2}, 3, 2]", f"[-1, {next(concat)}], 1, Concat, [1]"]
        rows += [f"-1, 3, {next(blocks).format(width)}"]
    rows += [f"{list(levels or LEVELS[family])}, 1, Detect, [nc]"]
    lines = [f"  - [{row}]\n" for row in rows]
    return f"{HEADER}backbone:\n{''.join(lines[:backbone])}head:\n{''.join(lines[backbone:])}"


@pytest.mark.parametrize("family", BLOCKS)
def test_numbers_that_an_insertion_shifted_are_found_and_corrected(family: str) -> None:
    right = text_of(
        family,
        inserted="-1, 1, CBAM, [1024]",
        concats=tuple(number + (number > 8) for number in CONCATS[family]),
        levels=tuple(number + 1 for number in LEVELS[family]),
    )
    stale = text_of(family, inserted="-1, 1, CBAM, [1024]")
    kinds = [finding.kind for finding in check_model_file(read_model_file(stale, "model.yaml"))]
    assert kinds.count("shifted-index") == 3
    assert kinds[:3] == ["shifted-index"] * 3
    assert fix_model_file(read_model_file(stale, "model.yaml")).text == right
    assert "shifted-index" not in [finding.kind for finding in check_model_file(read_model_file(right, "model.yaml"))]


@pytest.mark.parametrize("family", BLOCKS)
def test_the_only_fault_of_the_original_is_that_it_cannot_be_built(family: str) -> None:
    findings = check_model_file(read_model_file(text_of(family), "model.yaml"))
    assert {finding.kind for finding in findings if finding.is_fault} == {"unbuildable"}
    assert "YOLOv8 or a later family" in findings[-1].message


@pytest.mark.parametrize(
    ("name", "channels", "repeats"),
    [("yolov8.yaml", 256, 1), ("yolov8n-mine.yaml", 256, 1), ("yolov8s_CBAM.yaml", 512, 1), ("yolov8l.yaml", 512, 3)],
)
def test_the_name_of_the_file_selects_the_size(name: str, channels: int, repeats: int) -> None:
    # Size l: min(1024, 512) * 1 channels.
    plan = plan_model(read_model_file(text_of("YOLOv8"), f"models/{name}"), tolerant=True)
    assert plan.rows[9].shapes[0][1] == channels
    assert plan.file.repeats(plan.file.rows[8]) == repeats


def test_building_is_refused_with_the_family(tmp_path: Path) -> None:
    file = tmp_path / "yolov8n.yaml"
    file.write_text(text_of("YOLOv8"))
    with pytest.raises(ModelFileError, match=r"YOLOv8 or a later family .*; use a model file of YOLOv5, or attach"):
        attendet.build(file)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ("scales: []", "`scales` must be a mapping"),
        ("scales: {n: [0.33]}", r"a size must be \[depth multiple, width multiple, largest width\]"),
        ("scales: {n: [0, 1, 1024]}", "the depth multiple must be a positive number"),
        ("scales: {n: [1, 1, 1e9]}", "the largest width must be an integer"),
    ],
)
def test_invalid_scales_are_refused(scales: str, message: str) -> None:
    text = text_of("YOLOv8").replace(HEADER, f"nc: 3\n{scales}\n")
    with pytest.raises(ModelFileError, match=message):
        read_model_file(text, "yolov8n.yaml")
