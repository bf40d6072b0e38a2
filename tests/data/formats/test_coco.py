"""COCO's label format: ids, annotations of missing images, invalid files, and the folder of the images."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attendet.data.formats import coco
from attendet.data.formats.coco import read_coco
from attendet.data.reading import data_source
from attendet.errors import DataError
from tests.helpers.data_sets import write_image


def annotation(identity: Any, image: Any, category: Any, bbox: Any, **more: Any) -> dict[str, Any]:
    return {"id": identity, "image_id": image, "category_id": category, "bbox": bbox, **more}


def write_json(tmp_path: Path, content: dict[str, Any], name: str = "annotations.json") -> Path:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def example(tmp_path: Path) -> dict[str, Any]:
    for seed, name in enumerate(["a.png", "sub/b.png", "c.png"]):
        write_image(tmp_path / "images" / name, seed=seed)
    return {
        "images": [
            {"id": 10, "file_name": "a.png", "width": 64, "height": 48},
            {"id": 0, "file_name": "sub\\b.png"},
            {"id": "x", "file_name": "c.png", "width": 48, "height": 64},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [
            annotation(1, 10, 90, [1, 2, 3.5, 4], segmentation={"counts": "xx", "size": [48, 64]}, iscrowd=1),
            annotation(2, 0, 0, [0, 0, 64, 48], segmentation=[[0, 0, 64, 0, 64, 48]]),
            annotation(3, 10, 7, [5, 6, 7, 8]),
        ],
    }


def test_ids_with_gaps_ids_of_text_crowds_and_background_images(tmp_path: Path) -> None:
    source = data_source.open(write_json(tmp_path, example(tmp_path)))
    assert (source.format, source.names) == ("coco", ("cat", "dog"))
    split = source.read("train")
    assert [record.image.name for record in split.records] == ["a.png", "b.png", "c.png"]
    assert split.records.boxes.tolist() == [[1, 2, 4.5, 6], [5, 6, 12, 14], [0, 0, 64, 48]]
    assert split.records.classes.tolist() == [1, 1, 0]
    assert split.records.crowd.tolist() == [True, False, False]
    assert len(split.records[2].boxes) == 0
    assert [problem.kind.name for problem in split.problems] == ["WRONG_SIZE"]
    assert "c.png is 64×48, not 48×64" in split.problems[0].detail


def test_the_names_of_a_data_file_decide_the_class_indices(tmp_path: Path) -> None:
    write_json(tmp_path, example(tmp_path))
    file = tmp_path / "data.yaml"
    file.write_text("train: annotations.json\nnames: [bird, dog]\nimages: images\n")
    split = data_source.open(file).read("train")
    assert split.records.classes.tolist() == [1, 1]
    assert [(problem.kind.name, problem.detail) for problem in split.problems if problem.kind.name != "WRONG_SIZE"] == [
        ("UNKNOWN_CLASS", "sub/b.png, annotation 2: 'cat'")
    ]


def test_spaces_around_a_class_name_are_ignored(tmp_path: Path) -> None:
    content = example(tmp_path)
    content["categories"][0]["name"] = " dog "
    write_json(tmp_path, content)
    file = tmp_path / "data.yaml"
    file.write_text("train: annotations.json\nnames: [cat, 'dog ']\n")
    for data in (tmp_path / "annotations.json", file):
        source = data_source.open(data)
        assert source.names == ("cat", "dog")
        assert source.read("train").records.classes.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("entry", "kind", "detail"),
    [
        (annotation(5, 99, 0, [0, 0, 9, 9]), "MALFORMED", "annotation 5: the file has no image with id 99"),
        (annotation(5, [1], 0, [0, 0, 9, 9]), "MALFORMED", "annotation number 4 has no valid image_id"),
        ("words", "MALFORMED", "annotation number 4 has no valid image_id"),
        (annotation(5, 10, 55, [0, 0, 9, 9]), "UNKNOWN_CLASS", "a.png, annotation 5: 55"),
        (annotation(5, 10, None, [0, 0, 9, 9]), "MALFORMED", "category_id must be an integer or text, got None"),
        (annotation(5, 10, 0, [0, 0, 9]), "MALFORMED", "bbox must be four numbers, got [0, 0, 9]"),
        (annotation(5, 10, 0, None), "MALFORMED", "bbox must be four numbers, got None"),
        (annotation(5, 10, 0, [0, 0, float("nan"), 9]), "MALFORMED", "nan is not a coordinate in pixels"),
        (annotation(5, 10, 0, [0, 0, 10**400, 9]), "MALFORMED", "is not a coordinate in pixels"),
        (
            annotation(5, 10, 0, [9, 9, -5, 5]),
            "MALFORMED",
            "width and height of bbox must not be negative, got [9, 9, -5, 5]",
        ),
        (annotation(5, 10, 0, [60, 0, 9, 9]), "OUTSIDE", "a.png, annotation 5: by 5 px"),
        (annotation(5, 10, 0, [9, 9, 0, 0]), "ZERO_AREA", "a.png, annotation 5: 0×0 px"),
        (annotation(5, 10, 7, [5, 6, 7, 8]), "DUPLICATE_BOX", "a.png, annotation 5"),
    ],
)
def test_invalid_annotations_are_problems(entry: Any, kind: str, detail: str, tmp_path: Path) -> None:
    content = example(tmp_path)
    content["annotations"].append(entry)
    problems = data_source.open(write_json(tmp_path, content)).read("train").problems
    (problem,) = [problem for problem in problems if problem.kind.name != "WRONG_SIZE"]
    assert (problem.kind.name, problem.where.file) == (kind, str(tmp_path / "annotations.json"))
    assert detail in problem.detail


def test_invalid_images_are_problems(tmp_path: Path) -> None:
    content = example(tmp_path)
    content["images"] += [{"id": 10, "file_name": "c.png"}, {"id": 3}, {"id": 4, "file_name": "\x1b[31m"}, 5]
    content["images"].append({"id": [], "file_name": "b.png"})
    content["images"].append({"id": 6, "file_name": "absent.png"})
    split = data_source.open(write_json(tmp_path, content)).read("train")
    found = [f"{problem.kind.name} {problem.detail}" for problem in split.problems]
    assert found == [
        "MALFORMED the id of c.png must be unique, got 10",
        "MALFORMED image number 5 must have a file_name of printable text",
        "MALFORMED image number 6 must have a file_name of printable text",
        "MALFORMED image number 7 must have a file_name of printable text",
        "MALFORMED the id of b.png must be an integer or text, got []",
        "MALFORMED a.png: another image has its id 10, too",
        "WRONG_SIZE c.png is 64×48, not 48×64",
        "MISSING_IMAGE ",
    ]
    # It is unknown which image the annotations of a repeated id describe.
    assert split.skipped == 2
    assert [record.image.name for record in split.records] == ["b.png", "c.png"]


def test_ids_of_images_as_numbers_and_as_text(tmp_path: Path) -> None:
    content = example(tmp_path)
    content["annotations"] = [annotation(1, "10", 0, [1, 2, 3, 4])]
    split = data_source.open(write_json(tmp_path, content)).read("train")
    assert split.records.image_indices().tolist() == [0]
    content["annotations"] = [annotation(1, "11", 0, [1, 2, 3, 4])]
    with pytest.raises(DataError, match=r"no annotation belongs to an image of the file; the first of 1 has .* '11'"):
        data_source.open(write_json(tmp_path, content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "annotations.json:1:1: the file is not JSON"),
        ('{"images": [],\n "annotations": [}', "annotations.json:2:18: the file is not JSON"),
        ("[" * 100_000, "the JSON has a number that is too long, or lists that are nested too deeply"),
        (
            '{"images": [' + "9" * 5000 + "]}",
            "the JSON has a number that is too long, or lists that are nested too deeply",
        ),
        ("[]", "a COCO file must be an object with a list `images`"),
        ('{"images": {}}', "a COCO file must be an object with a list `images`"),
        ('{"images": [], "annotations": {"a": 1}}', "`annotations` must be a list, got {'a': 1}"),
        ('{"images": [], "categories": [{"id": 1}]}', "category number 1 must have an id and a name of printable text"),
        (
            '{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "category ids must be unique, got 1 twice",
        ),
        ('{"images": [], "categories": []}', "the data set has no class names"),
        (
            '{"images": [], "categories": [{"id": 1, "name": "\\u001b[2J"}]}',
            "category number 1 must have an id and a name of printable text",
        ),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "annotations.json"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        data_source.open(file)
    assert message in str(caught.value)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="larger than 100 bytes"):
        data_source.open(write_json(tmp_path, example(tmp_path)))


@pytest.mark.parametrize(
    ("json_name", "folder"),
    [
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/train.json", "images"),
        ("train/_annotations.coco.json", "train"),
        ("labels.json", "."),
    ],
)
def test_the_folder_of_the_images_is_found(json_name: str, folder: str, tmp_path: Path) -> None:
    write_image(tmp_path / folder / "a.png")
    content = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "cat"}]}
    write_json(tmp_path, content, json_name)
    for data in (tmp_path, tmp_path / json_name):
        (record,) = data_source.open(data).read("train").records
        assert record.image.resolve() == (tmp_path / folder / "a.png").resolve()


def test_images_that_are_not_found_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    content = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "cat"}]}
    with pytest.raises(
        DataError, match=r"a\.png not found, neither next to the file nor in a folder `images`; .*`images: folder`"
    ):
        data_source.open(write_json(tmp_path, content)).read("train")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
IDS = st.sampled_from([0, 1, "1", 1.0, True, None, [], 10**30])
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "images": VALUES
        | st.lists(
            st.fixed_dictionaries({}, optional={"id": IDS, "file_name": VALUES, "width": VALUES, "height": VALUES})
        ),
        "categories": VALUES | st.lists(st.fixed_dictionaries({}, optional={"id": IDS, "name": VALUES})),
        "annotations": VALUES
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "id": VALUES,
                    "image_id": IDS,
                    "category_id": IDS,
                    "bbox": VALUES | st.lists(st.floats() | st.integers(), min_size=4, max_size=4),
                    "iscrowd": VALUES,
                },
            )
        ),
    },
)


@settings(max_examples=50)
@given(CONTENTS)
def test_any_content_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(content))
    try:
        document = read_coco(file)
    except DataError:
        return
    labels = list(document.labels())
    assert len(labels) == len(document.images)
    assert all(np.isfinite(each.boxes).all() for each in labels)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.json"
    file.write_bytes(content)
    with contextlib.suppress(DataError):
        list(read_coco(file).labels())
