"""Backslashes in paths, files that are passed over, and files that only look like a data file."""

import os
from pathlib import Path

import pytest

from attendet.data import check
from attendet.data import open as open_data
from attendet.data.label_counts import LabelCounts
from attendet.errors import DataError
from tests.data.reading.layout_cases import (
    NAMES,
    YOLO_ROW,
    assert_read,
    data_yaml,
    labeled,
    text,
)


@pytest.mark.parametrize(
    "line", ["train: images\\train", 'train: "images\\train"', 'train: ["images\\train"]', "train: images\\*\\*.png"]
)
def test_backslashes_in_a_data_file(line: str, tmp_path: Path) -> None:
    root = labeled(tmp_path / "new set", {"images/train/a.png": "labels/train/a.txt"}, YOLO_ROW)
    assert_read(data_yaml(root, line), "yolo", {"train": 1})
    assert_read(data_yaml(tmp_path, f'path: ".\\new set"\n{line}'), "yolo", {"train": 1})


def test_escapes_and_names_of_files_with_backslashes_keep_their_meaning(tmp_path: Path) -> None:
    labeled(tmp_path, {"café/a.png": "café/a.txt", "b\\train/a.png": "b\\train/a.txt"}, YOLO_ROW)
    assert_read(data_yaml(tmp_path, 'train: "caf\\xe9"'), "yolo", {"train": 1})
    assert_read(data_yaml(tmp_path, "train: b\\train"), "yolo", {"train": 1})
    assert_read(data_yaml(tmp_path, 'train: "b\\\\train"'), "yolo", {"train": 1})


def test_files_that_are_not_read_are_counted_and_named(tmp_path: Path) -> None:
    labeled(tmp_path, {"images/a.png": "labels/a.txt"}, YOLO_ROW)
    for name in ("b.xyz", "c.raw", ".hidden.png", "._a.png", "Thumbs.db", "README.md", "notes.txt"):
        text(tmp_path / "images" / name, "x")
    text(tmp_path / "labels/b.txt", YOLO_ROW)
    report = check(data_yaml(tmp_path, "train: images"))
    counts = {problem.kind.name: problem.count for problem in report.problems}
    assert counts == {"UNKNOWN_ENDING": 1, "PASSED_OVER": 2}
    assert report.errors == 1
    _, line = report.label_lines
    place = f"{tmp_path}/images/b.xyz: labeled file without a known image ending"
    reason = f"its labels are in {tmp_path}/labels/b.txt"
    assert line == (
        "train: labels: 1 found, 0 empty, 0 missing, 0 invalid; yolo, first at labels/a.txt; "
        f"3 files passed over (first: {place} ({reason}))"
    )
    assert isinstance(report.labels["train"], LabelCounts)
    assert line in str(report)


def test_one_of_several_data_files(tmp_path: Path) -> None:
    labeled(tmp_path, {"images/a.png": "labels/a.txt"}, YOLO_ROW)
    text(tmp_path / "hyp.yaml", "lr0: 0.01\n")
    first = data_yaml(tmp_path, "train: images", "first.yaml")
    assert open_data(tmp_path).file == first
    data_yaml(tmp_path, "train: images", "second.yaml")
    with pytest.raises(DataError, match=r"must have one data file, got first\.yaml and second\.yaml"):
        open_data(tmp_path)
    assert open_data(data_yaml(tmp_path, "train: images").parent).file == tmp_path / "data.yaml"


def test_files_that_only_have_the_name_of_a_data_file(tmp_path: Path) -> None:
    labeled(tmp_path, {"images/a.png": "labels/a.txt"}, YOLO_ROW)
    text(tmp_path / "classes.txt", NAMES)
    (tmp_path / "digits.data").write_bytes(b"\xff\x00\x01")
    text(tmp_path / "package.json", '{"images": 3}')
    os.mkfifo(tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "pipe.data")
    assert_read(tmp_path, "yolo", {"train": 1})
    with pytest.raises(DataError, match=r"the file is not a data\.yaml or a COCO file"):
        open_data(tmp_path / "digits.data")


def test_files_that_are_passed_over_are_not_the_reason_for_a_split_without_images(tmp_path: Path) -> None:
    labeled(tmp_path, {"images/a.png": "labels/a.txt"}, "1 0.5\n")
    for name in (".hidden.png", "b.xyz"):
        text(tmp_path / "images" / name, "x")
    with pytest.raises(DataError, match=r"the first of 3 problems is .*a\.txt:1: malformed label"):
        open_data(data_yaml(tmp_path, "train: images")).read("train")
    (tmp_path / "images/a.png").unlink()
    with pytest.raises(DataError, match=r"the first of 2 problems is .*\.hidden\.png: file passed over"):
        open_data(tmp_path).read("train")
