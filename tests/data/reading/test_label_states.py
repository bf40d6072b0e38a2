"""Images whose labels are missing or cannot be understood: counted, named, and never background."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attendet.data import convert
from attendet.data import open as open_data
from attendet.data.reading.label_checks import require_labels
from attendet.errors import DataError
from tests.helpers.data_sets import write_data_file, write_image

WriteYolo = Callable[..., Path]
GOOD = "0 0.5 0.5 0.5 0.5\n"


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        # The scores that a detector adds, pixels instead of 0-1, a class that the data set does not have, and text.
        ("0 0.5 0.5 0.5 0.5 0.9\n", "malformed label"),
        ("0 48 40 20 20\n", "malformed label"),
        ("7 0.5 0.5 0.5 0.5\n", "unknown class"),
        ("cat 0.5 0.5 0.5 0.5\n", "malformed label"),
        ("0 0.5 0.5 -0.5 0.5\n", "malformed label"),
        ("0 0.5 0.5 0 0\n", "box without area"),
        (GOOD + "0 0.5\n", "malformed label"),
    ],
)
def test_images_with_invalid_labels_are_left_out_and_named(label: str, reason: str, yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": label, "b": GOOD, "c": ""})
    split = open_data(file).read("train")
    assert [record.image.stem for record in split.records] == ["b", "c"]
    assert split.skipped == 1
    assert (split.labels.found, split.labels.empty, split.labels.missing, split.labels.invalid) == (1, 1, 0, 1)
    assert str(split.labels).startswith("labels: 1 found, 1 empty, 0 missing, 1 invalid (first: ")
    assert f"{file.parent}/labels/a.txt:" in str(split.labels)
    assert reason in str(split.labels)


def test_a_box_without_area_next_to_others_is_dropped_alone(yolo_folder: WriteYolo) -> None:
    split = open_data(yolo_folder({"a": GOOD + "0 0.5 0.5 0 0\n"})).read("train")
    assert (len(split.records), split.labels.found, split.labels.invalid) == (1, 1, 0)


def test_a_split_without_labels_names_where_they_were_looked_for(yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": None, "b": None})
    split = open_data(file).read("train")
    assert (split.labels.missing, len(split.records)) == (2, 2)
    place = file.parent / "labels/a.txt"
    with pytest.raises(
        DataError, match="no image of train has labels; yolo labels were looked for, first at "
    ) as raised:
        require_labels(split)
    assert str(raised.value).endswith(f"first at {place}; {place}: label file is missing (treated as background)")


def test_images_that_are_labeled_as_empty_have_labels(yolo_folder: WriteYolo) -> None:
    require_labels(open_data(yolo_folder({"a": "", "b": None})).read("train"))


YOLO_TEXTS = {
    "comma separated": "0,0.5,0.5,0.5,0.5\n",
    "byte order mark in UTF-16": "\ufeff0 0.5 0.5 0.5 0.5".encode("utf-16-le"),
    "scores": "0 0.5 0.5 0.5 0.5 0.25\n",
    "polygon of two points": "0 0.1 0.1 0.2 0.2 0.3\n",
    "not a number": "0 nan 0.5 0.5 0.5\n",
    "far outside": "0 0.5 0.5 5 5\n",
    "class as a fraction": "0.5 0.5 0.5 0.5 0.5\n",
    "negative class": "-1 0.5 0.5 0.5 0.5\n",
    "binary": b"\x00\x01\xff",
}
OBJECT = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>30</ymax></bndbox></object>"
VOC_TEXTS = {
    "unknown class": f"<annotation>{OBJECT.format('cow', 20)}</annotation>",
    "no box": "<annotation><object><name>cat</name></object></annotation>",
    "not a number": f"<annotation>{OBJECT.format('cat', 'nan')}</annotation>",
    "corners in the wrong order": f"<annotation>{OBJECT.format('cat', 0)}</annotation>",
    "another root": "<annotations></annotations>",
    "a part of a file": f"<annotation>{OBJECT.format('cat', 20)}",
    "empty file": "",
}
COCO_ENTRIES = {
    "unknown category": {"category_id": 99, "bbox": [1, 2, 3, 4]},
    "no category": {"bbox": [1, 2, 3, 4]},
    "not a number": {"category_id": 1, "bbox": [1, 2, float("nan"), 4]},
    "negative": {"category_id": 1, "bbox": [1, 2, -3, 4]},
    "no box": {"category_id": 1},
    "no area": {"category_id": 1, "bbox": [1, 2, 0, 0]},
}


def spoilt_set(root: Path, format: str, content: str | bytes | dict[str, Any]) -> Path:  # noqa: A002
    """Write a set of two images, `bad` with labels that cannot be understood and `good` with an object."""
    for seed, name in enumerate(("bad", "good")):
        write_image(root / f"images/{name}.png", seed=seed)
    good = {"yolo": GOOD, "voc": f"<annotation>{OBJECT.format('cat', 20)}</annotation>"}
    if isinstance(content, dict):
        images = [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate(("bad", "good"))]
        labels = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}, {"id": 2, "image_id": 0, **content}]
        text = json.dumps({"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": labels})
        (root / "train.json").write_text(text)
        return write_data_file(root, "train: train.json\nnames: [cat]\n")
    folder, suffix = {"yolo": ("labels", "txt"), "voc": ("Annotations", "xml")}[format]
    (root / folder).mkdir()
    (root / folder / f"good.{suffix}").write_text(good[format])
    (root / folder / f"bad.{suffix}").write_bytes(content.encode() if isinstance(content, str) else content)
    return write_data_file(root, "train: images\nnames: [cat]\n")


@pytest.mark.parametrize(
    ("format", "content"),
    [
        *(pytest.param("yolo", content, id=f"yolo {name}") for name, content in YOLO_TEXTS.items()),
        *(pytest.param("voc", content, id=f"voc {name}") for name, content in VOC_TEXTS.items()),
        *(pytest.param("coco", content, id=f"coco {name}") for name, content in COCO_ENTRIES.items()),
    ],
)
def test_labels_of_any_format_that_cannot_be_understood_never_become_background(
    format: str,  # noqa: A002
    content: str | bytes | dict[str, Any],
    tmp_path: Path,
) -> None:
    file = spoilt_set(tmp_path, format, content)
    source = open_data(file)
    assert source.format == format
    split = source.read("train")
    assert [record.image.stem for record in split.records] == ["good"]
    assert (split.labels.found, split.labels.empty, split.labels.missing, split.labels.invalid) == (1, 0, 0, 1)
    assert "bad" in str(split.labels)
    result = convert(file, to="yolo", out=tmp_path / "converted")
    assert (result.images, result.left_out) == (1, 1)
    assert sum(result.lost.values()) + (content == COCO_ENTRIES["no area"]) >= 1


def test_a_voc_image_without_a_file_is_missing_and_left_out(tmp_path: Path) -> None:
    file = spoilt_set(tmp_path, "voc", "")
    (tmp_path / "Annotations/bad.xml").unlink()
    split = open_data(file).read("train")
    assert (len(split.records), split.labels.found, split.labels.missing, split.labels.invalid) == (1, 1, 1, 0)
    assert "Annotations/bad.xml" in str(split.labels)


def test_an_xml_file_without_an_object_is_empty(tmp_path: Path) -> None:
    split = open_data(spoilt_set(tmp_path, "voc", "<annotation></annotation>")).read("train")
    assert (len(split.records), split.labels.found, split.labels.empty) == (2, 1, 1)
