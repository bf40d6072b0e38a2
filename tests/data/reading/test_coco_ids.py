"""Ids of images and categories in COCO files, with which results refer to them."""

import json
from collections.abc import Sequence
from pathlib import Path

from attendet.data import drop_invalid
from attendet.data import open as open_data
from attendet.data.coco_ids import CocoIds
from attendet.data.records import Split
from tests.data.reading.layout_cases import images, text

CATEGORIES = {"cat": 18, "dog": 44}


def write(file: Path, names: Sequence[str], ids: Sequence[int], categories: dict[str, int] = CATEGORIES) -> None:
    """Write a COCO file with one object of the last category in each image."""
    last = list(categories.values())[-1]
    content = {
        "images": [{"id": number, "file_name": name} for name, number in zip(names, ids, strict=True)],
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
        "annotations": [
            {"id": number, "image_id": number, "category_id": last, "bbox": [16, 12, 32, 24]} for number in ids
        ],
    }
    text(images(file.parent, *names) / file.name, json.dumps(content))


def read(root: Path, files: Sequence[str], names: str = "[cat, dog]") -> Split:
    return open_data(text(root / "data.yaml", f"val: [{', '.join(files)}]\nnames: {names}\n")).read("val")


def ids_of(split: Split) -> CocoIds:
    assert split.coco_ids is not None
    return split.coco_ids


def image_ids(split: Split) -> list[int | str]:
    return ids_of(split).image_ids(str(record.image) for record in split.records)


def test_an_image_that_a_file_lists_twice_has_both_ids(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ["0.png", "1.png", "0.png"], [695, 12, 699])
    split = read(tmp_path, ["a.json"])
    assert (image_ids(split), ids_of(split).categories) == ([695, 12, 699], CATEGORIES)


def test_images_that_are_left_out_do_not_shift_the_ids(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ["0.png", "1.png", "0.png"], [695, 12, 699])
    content = json.loads((tmp_path / "a.json").read_text())
    content["annotations"][0]["bbox"] = "wide"
    (tmp_path / "a.json").write_text(json.dumps(content))
    split = read(tmp_path, ["a.json"])
    assert (split.labels.invalid, image_ids(split)) == (1, [12, 699])


def test_files_with_different_ids_of_images_keep_them(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ["0.png"], [695])
    write(tmp_path / "b.json", ["1.png"], [12])
    split = read(tmp_path, ["a.json", "b.json"])
    assert (image_ids(split), ids_of(split).categories, split.labels.remarks) == ([695, 12], CATEGORIES, ())


def test_equal_ids_of_images_in_two_files_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ["0.png"], [695])
    write(tmp_path / "b.json", ["1.png"], [695])
    split = read(tmp_path, ["a.json", "b.json"])
    assert split.coco_ids is None
    assert "image id 695 is there twice; ids in results count from 1" in str(split.labels)


def test_files_with_other_ids_of_categories_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ["0.png"], [695])
    write(tmp_path / "b.json", ["1.png"], [12], {"cat": 18, "dog": 2})
    split = read(tmp_path, ["a.json", "b.json"])
    assert (image_ids(split), ids_of(split).categories) == ([695, 12], CATEGORIES)
    assert "the category 'dog' has two ids; results have 44" in str(split.labels)
    write(tmp_path / "b.json", ["1.png"], [12], {"bird": 18, "dog": 44})
    split = read(tmp_path, ["a.json", "b.json"], "[cat, dog, bird]")
    assert (image_ids(split), ids_of(split).categories) == ([695, 12], {"cat": 1, "dog": 2, "bird": 3})
    assert "two categories have one id; category ids in results count from 1" in str(split.labels)


def test_a_single_class_has_the_ids_of_the_images(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ["0.png"], [695])
    ids = ids_of(drop_invalid(read(tmp_path, ["a.json"]), single_class=True))
    assert (list(ids.images.values()), ids.categories) == ([[695]], {"object": 1})
