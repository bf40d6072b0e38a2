"""Splits to convert, and a reader of converted data sets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from attendet.data.reading import data_source
from attendet.data.records import ImageRecord, ImageRecords, Split
from tests.helpers.data_sets import write_image

FORMATS = ("yolo", "coco", "voc")


def record(
    image: Path, boxes: Sequence[Sequence[float]] = (), classes: Sequence[int] = (), crowd: bool = False
) -> ImageRecord:
    """Return the record of an image with these boxes; if `crowd`, the first box is a crowd."""
    with Image.open(image) as opened:
        width, height = opened.size
    is_crowd = np.zeros(len(classes), np.bool_)
    is_crowd[:1] = crowd
    return ImageRecord(
        image, width, height, np.array(boxes, np.float64).reshape(-1, 4), np.array(classes, np.int64), is_crowd
    )


def read(folder: Path) -> dict[str, Split]:
    """Read all splits of a data set."""
    source = data_source.open(folder)
    return {name: source.read(name, cache=False) for name in source.splits}


def whole_pixel_split(tmp_path: Path) -> Split:
    """Return a split that readers of other libraries support: boxes of whole pixels, and one image without objects."""
    images = [write_image(tmp_path / "source" / f"{number}.png", (64, 48), number) for number in range(3)]
    items = [
        record(images[0], [(1, 2, 30, 40), (5, 6, 7, 9)], [0, 1]),
        record(images[1]),
        record(images[2], [(0, 0, 64, 48)], [1]),
    ]
    return Split("train", ("cat", "dog"), ImageRecords(items))
