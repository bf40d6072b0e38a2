"""Writers of small data sets in the layouts of tools, always with the same box in every image."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from attendet.data import open as open_data
from attendet.data.reading.data_source import DataSource
from tests.helpers.data_sets import write_image

SIZE = (64, 48)
BOX = [16.0, 12.0, 48.0, 36.0]
YOLO_ROW = "1 0.5 0.5 0.5 0.5\n"
NAMES = "cat\ndog\n"
XML = (
    "<annotation><object><name>dog</name><bndbox><xmin>16</xmin><ymin>12</ymin><xmax>48</xmax><ymax>36</ymax></bndbox>"
    "</object></annotation>"
)

Write = Callable[[Path], Path]


def text(path: Path, content: str) -> Path:
    """Write a text file with its folders, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def images(root: Path, *names: str) -> Path:
    """Write an image for each path relative to a folder; each is different."""
    for name in names:
        write_image(root / name, SIZE, seed=sum(name.encode()))
    return root


def coco(file_names: Sequence[str]) -> str:
    """Return a COCO file with one dog in each image."""
    return json.dumps(
        {
            "images": [{"id": number, "file_name": name} for number, name in enumerate(file_names)],
            "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
            "annotations": [
                {"id": number, "image_id": number, "category_id": 5, "bbox": [16, 12, 32, 24]}
                for number in range(len(file_names))
            ],
        }
    )


def labeled(root: Path, pairs: dict[str, str], content: str) -> Path:
    """Write images with their label files; from the paths of images to the paths of label files."""
    images(root, *pairs)
    for label in pairs.values():
        text(root / label, content)
    return root


def data_yaml(root: Path, lines: str, name: str = "data.yaml") -> Path:
    """Write a data.yaml with the names of the classes."""
    return text(root / name, lines + "\nnames: [cat, dog]\n")


def assert_read(data: Path, format: str, splits: dict[str, int]) -> DataSource:  # noqa: A002 - the name of the option
    """Open a data set and check its format, the number of images of its splits, and all boxes."""
    source = open_data(data)
    assert (source.format, source.names) == (format, ("cat", "dog"))
    assert list(source.splits) == list(splits)
    for name, count in splits.items():
        split = source.read(name)
        assert [each.kind.name for each in split.problems if each.kind.name != "DUPLICATE_IMAGE"] == []
        assert split.records.boxes.tolist() == [BOX] * count
        assert split.records.classes.tolist() == [1] * count
        assert (split.labels.found, split.labels.format) == (count, format)
        assert (split.labels.place) in str(split.labels)
    return source
