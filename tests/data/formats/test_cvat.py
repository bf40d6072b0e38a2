"""CVAT's export "CVAT for images": shapes, subsets, invalid shapes, and other files."""

from pathlib import Path

import numpy as np
import pytest

from attendet.data import convert
from attendet.data import open as open_data
from attendet.data.formats.cvat import read_cvat
from attendet.errors import DataError
from tests.data.reading.layout_cases import data_yaml, images, text

BOX = '<box label="dog" source="manual" xtl="16.00" ytl="12.00" xbr="48.00" ybr="36.00" z_order="0"{}></box>'
META = (
    "<version>1.1</version><meta><task><labels><label><name>cat</name><attributes></attributes></label>"
    "<label><name>dog</name></label></labels><owner><name>me</name></owner></task></meta>"
)


def image(name: str, *shapes: str, subset: str = "") -> str:
    state = f' subset="{subset}"' if subset else ""
    return f'<image id="0" name="{name}"{state} width="64" height="48">{"".join(shapes)}</image>'


def export(root: Path, *parts: str) -> Path:
    return text(root / "annotations.xml", f'<?xml version="1.0"?><annotations>{META}{"".join(parts)}</annotations>')


@pytest.mark.parametrize("image_name", ["images/a.png", "images/default/a.png", "a.png"])
def test_an_export_is_found_and_read(image_name: str, tmp_path: Path) -> None:
    root = images(tmp_path / "set", image_name)
    file = export(root, image("a.png", BOX.format("")))
    entries = [root, file, data_yaml(tmp_path, "path: set\ntrain: annotations.xml")]
    if "/" in image_name:
        entries.append(data_yaml(tmp_path, "path: set\ntrain: images", "other.yaml"))
    for data in entries:
        source = open_data(data)
        assert (source.format, source.names, list(source.splits)) == ("cvat", ("cat", "dog"), ["train"])
        split = source.read("train")
        assert split.records.boxes.tolist() == [[16, 12, 48, 36]]
        assert split.records.classes.tolist() == [1]
        assert str(split.labels).endswith("cvat, first at annotations.xml")
    convert(root, to="voc", out=tmp_path / "voc")
    assert open_data(tmp_path / "voc").read("train").records.boxes.tolist() == [[16, 12, 48, 36]]


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        (BOX.format(' rotation="90.0"'), [20, 8, 44, 40]),
        (BOX.format(' rotation="180"'), [16, 12, 48, 36]),
        ('<polygon label="dog" points="1.0,2.0;30.5,4.0;8.0,40.0"></polygon>', [1, 2, 30.5, 40]),
        ('<ellipse label="dog" cx="30" cy="20" rx="10" ry="5"></ellipse>', [20, 15, 40, 25]),
        ('<mask label="dog" rle="1, 2" left="3" top="4" width="10" height="20"></mask>', [3, 4, 13, 24]),
        (BOX.format("") + '<tag label="cat"></tag>', [16, 12, 48, 36]),
    ],
)
def test_boxes_around_shapes(shape: str, box: list[float], tmp_path: Path) -> None:
    export(images(tmp_path, "images/a.png"), image("a.png", shape))
    np.testing.assert_allclose(open_data(tmp_path).read("train").records.boxes, [box], atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<points label="dog" points="1,2"></points>', "a shape 'points' has no box"),
        ('<polygon label="dog" points="1,2;x,3"></polygon>', "'x' is not a coordinate in pixels"),
        ('<polygon label="dog"></polygon>', "'' is not a coordinate in pixels"),
        (BOX.format("").replace("48.00", "nan"), "'nan' is not a coordinate in pixels"),
        (BOX.format("").replace("48.00", "8"), "width and height of bbox must not be negative"),
        (BOX.format("").replace('label="dog"', ""), "category_id must be an integer or text, got None"),
    ],
)
def test_images_with_other_shapes_are_left_out(shape: str, reason: str, tmp_path: Path) -> None:
    export(images(tmp_path, "images/a.png", "images/b.png"), image("a.png", shape), image("b.png", BOX.format("")))
    split = open_data(tmp_path).read("train")
    assert [record.image.name for record in split.records] == ["b.png"]
    assert f"malformed label (a.png, annotation 1: {reason}" in str(split.labels)


def test_subsets_are_splits(tmp_path: Path) -> None:
    names = {"Train": "a.png", "Validation": "b.png"}
    root = images(tmp_path, *(f"images/{subset}/{name}" for subset, name in names.items()))
    export(root, *(image(name, BOX.format(""), subset=subset) for subset, name in names.items()))
    source = open_data(root)
    assert list(source.splits) == ["train", "val"]
    assert [[record.image.name for record in source.read(split).records] for split in source.splits] == [
        ["a.png"],
        ["b.png"],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations><image", r"annotations\.xml:1:\d+: the file is not XML"),
        ("<annotations>" + "<meta>" * 20, "nested more than 16 levels deep"),
        ('<annotations><track id="0"></track></annotations>', "CVAT's for videos; export it as CVAT for images"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>', "XML entities are refused"),
        ("<annotation></annotation>", "the root element must be 'annotations', got 'annotation'"),
    ],
)
def test_other_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_cvat(text(tmp_path / "annotations.xml", content))
