"""Data reports against numbers worked out by hand, and their table."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from attendet.data.box_sides import scaled_box_sides
from attendet.data.records import ImageRecords, ProblemKind, Split
from attendet.data.report.data_report import check, make_data_report
from tests.data.report.report_cases import NAMES, record, split_with_many_classes


def test_numbers_worked_out_by_hand(splits: list[Split]) -> None:
    report = make_data_report(splits, 640)
    train = report.splits["train"]
    assert (train.images, train.skipped, train.background, train.objects) == (3, 1, 1, 5)
    assert train.objects_by_class == (2, 3, 0)
    assert train.images_by_class == (1, 2, 0)
    np.testing.assert_allclose(
        scaled_box_sides(splits[0].records, 640), [[10, 20], [50, 50], [200, 100], [8, 40], [7, 200]], atol=1e-9
    )
    sizes = train.sizes
    assert (sizes.median_width, sizes.median_height) == (10, 50)
    # Areas: 200, 2500, 20000, 320, 1400; COCO's bounds are 1024 and 9216.
    assert (sizes.tiny, sizes.small, sizes.medium, sizes.large) == (0.2, 0.4, 0.4, 0.2)
    assert report.splits["val"].sizes.median_width is None
    total = report.total
    assert (total.images, total.background, total.objects, total.objects_by_class) == (4, 2, 5, (2, 3, 0))
    assert total.sizes == sizes


def test_problems_are_counted_errors_first_with_examples(splits: list[Split]) -> None:
    report = make_data_report(splits)
    counts = [(problem.kind, dict(problem.by_split), len(problem.examples)) for problem in report.problems]
    assert counts == [
        (ProblemKind.MALFORMED, {"train": 1}, 1),
        (ProblemKind.DUPLICATE_ACROSS_SPLITS, {"val": 1}, 1),
        (ProblemKind.OUTSIDE, {"train": 1}, 1),
        (ProblemKind.SLIVER, {"train": 5}, 3),
    ]
    assert str(report.problems[1].examples[0]) == "d.jpg: image in two splits (also in train, as b.jpg)"
    assert (report.errors, report.warnings) == (2, 6)
    assert json.loads(json.dumps(report.to_dict()))["problems"][3]["examples"][0] == {
        "file": "c.txt",
        "line": 1,
        "detail": "",
    }


def test_remarks_about_unusual_properties(splits: list[Split]) -> None:
    assert make_data_report(splits, 640).remarks == (
        "val has no objects: every image is background",
        "1 class (cow) does not occur in any split",
        "20% of the boxes in train have a side under 8 px at 640 px; a larger image size shows more of them",
    )
    labeled = replace(splits[1], records=ImageRecords([record("d.jpg", (640, 640), [[0, 0, 9, 9]], [2])]))
    assert make_data_report([splits[0], labeled], 1280).remarks == (
        "1 class (cow) does not occur in train",
        "2 classes (cat, dog) do not occur in val",
    )
    few = [record("a.jpg", (9, 9), [[0, 0, 9, 9]] * 8, list(range(8)))]
    assert "72 classes ($x_{8}$, $x_{9}$, $x_{10}$, $x_{11}$, $x_{12}$ and 67 more) do not occur in any split" in (
        make_data_report([replace(split_with_many_classes(), records=ImageRecords(few))]).remarks
    )
    assert "test has no image that can be used" in make_data_report([Split("test", NAMES, ImageRecords())]).remarks


def test_the_report_as_text_and_html(splits: list[Split]) -> None:
    report = make_data_report(splits)
    lines = str(report).splitlines()
    assert lines[0] == "3 classes, box sizes at 640 px"
    assert lines[1].split() == ["train", "val", "all", "examples"]
    assert lines[2].split() == ["images", "3", "1", "4"]
    assert "  dog                              3    -      3" in lines
    assert "sliver (side ≤ 1 px)               5    -      5  c.txt:1" in lines
    assert lines[-5:-2] == [f"! {remark}" for remark in report.remarks]
    assert lines[-1] == "2 errors, 6 warnings"
    assert repr(report) == "DataReport(images=4, objects=5, num_classes=3, errors=2, warnings=6)"
    page = report._repr_html_()
    assert page.count("<tr") == len(report.rows()) + 1
    assert "c.txt:1<br>c.txt:2<br>c.txt:3" in page
    assert "<x>" not in make_data_report([replace(splits[0], names=("<x>", "dog", "cow"))])._repr_html_()


def test_the_table_has_thirty_classes_at_most() -> None:
    labels = [row.label for row in make_data_report([split_with_many_classes()]).rows()]
    assert sum(label.startswith("  $x_") for label in labels) == 30
    assert "  50 more classes" in labels


def test_check_reads_all_splits(yolo_folder: Callable[..., Path]) -> None:
    file = yolo_folder({"a": "0 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.1 0.1", "b": "0 0.5 0.5 0.5 0.5"})
    file.write_text(file.read_text() + "val: absent\n")
    steps: list[tuple[str, int, int]] = []
    report = check(file.parent, imgsz=128, progress=lambda *step: steps.append(step))
    assert steps == [("reading train", 2, 2)]
    assert [(problem.kind, problem.count) for problem in report.problems] == [
        (ProblemKind.MISSING_SPLIT, 1),
        (ProblemKind.UNKNOWN_CLASS, 1),
    ]
    assert report.title == f"{file}, yolo, 2 classes, box sizes at 128 px"
    assert report.label_lines[0] == "layout: yolo, found by labels/a.txt"
    assert report.label_lines[1].startswith("train: labels: 1 found, 0 empty, 0 missing, 1 invalid (first: ")
    assert report.label_lines[1].endswith("; yolo, first at labels/a.txt")
    assert report.rows()[-1].examples == ("labels/a.txt:2 (7)",)
    assert report.splits["train"].sizes.median_width == 64
