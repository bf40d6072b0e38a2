"""Records and splits whose numbers are easy to compute by hand."""

from pathlib import Path

import numpy as np

from attendet.data.records import ImageRecord, ImageRecords, Split

NAMES = ("cat", "dog", "cow")


def record(name: str, size: tuple[int, int], boxes: list[list[float]], classes: list[int]) -> ImageRecord:
    """Return a record without crowds."""
    crowd = np.zeros(len(classes), np.bool_)
    return ImageRecord(
        Path(name), *size, np.array(boxes, np.float64).reshape(-1, 4), np.array(classes, np.int64), crowd
    )


def split_with_many_classes() -> Split:
    """Return 50 images with 8 random boxes each, of 80 classes whose names matplotlib would read as formulas."""
    generator = np.random.default_rng(0)
    items = []
    for number in range(50):
        low = generator.uniform(0, 500, (8, 2))
        boxes = np.concatenate([low, low + generator.uniform(1, 100, (8, 2))], axis=1)
        classes = generator.integers(0, 80, 8)
        items.append(ImageRecord(Path(f"{number}.jpg"), 640, 480, boxes, classes, np.zeros(8, np.bool_)))
    return Split("train", tuple(f"$x_{{{number}}}$" for number in range(80)), ImageRecords(items))
