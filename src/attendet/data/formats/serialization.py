"""Image records as text: YOLO's lines, COCO's JSON, and Pascal VOC's XML.

Coordinates in pixels have 9 decimals and YOLO's coordinates in 0-1 have 14, so that rounding in one format does not
change the last decimal of the other: a box that is converted back and forth is the same to 1e-8 pixels, and bit by bit
from the second time on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape  # only writes; defusedxml is for untrusted input

import numpy as np
from numpy.typing import NDArray

from attendet.data.coco_ids import CocoIds
from attendet.data.formats.yolo import COORDINATE_TOLERANCE
from attendet.data.records import ImageRecord
from attendet.utils.json_text import to_json

_PIXEL_DECIMALS = 9
_NORMALIZED_DECIMALS = 14
_RESULT_DECIMALS = 3
_SCORE_DECIMALS = 5


def yolo_text(record: ImageRecord) -> str:
    r"""Return the text of a YOLO label file: class, center x, center y, width, and height (0-1) of each object.

    Example:
        >>> from pathlib import Path
        >>> box = np.array([[10.0, 20.0, 30.0, 60.0]])
        >>> yolo_text(ImageRecord(Path("a.jpg"), 100, 200, box, np.array([2]), np.array([False])))
        '2 0.2 0.2 0.2 0.2\n'
    """
    normalized = _normalize(record.boxes, np.array([[record.width, record.height]]))
    rows = zip(record.classes.tolist(), normalized.tolist(), strict=True)
    return "".join(
        f"{category} {' '.join(_decimal(value, _NORMALIZED_DECIMALS) for value in row)}\n" for category, row in rows
    )


def fits_yolo(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether a YOLO label file can express each box.

    The center of a box must be inside its image (with a tolerance of 1 %), and the box must not be larger than the
    image.

    Args:
        boxes: (objects, 4) x1, y1, x2, y2 in pixels.
        sizes: (objects, 2) width and height in pixels of the image of each box.

    Returns:
        (objects,) bool.

    Example:
        >>> fits_yolo(np.array([[-10.0, 0, 20, 9], [-10.0, 0, 5, 9]]), np.array([[100, 100], [100, 100]])).tolist()
        [True, False]
    """
    normalized = _normalize(boxes, sizes)
    low, high = -COORDINATE_TOLERANCE, 1 + COORDINATE_TOLERANCE
    inside = ((normalized >= low) & (normalized <= high)).all(axis=1)
    return np.asarray(inside & (normalized[:, 2:] >= 0).all(axis=1))


def coco_text(
    names: Sequence[str], records: Sequence[ImageRecord], files: Sequence[str], ids: CocoIds | None = None
) -> Iterator[str]:
    """Yield the text of a COCO file in pieces, with one image or one annotation per line.

    Args:
        names: Class names, in the order of their indices.
        records: Images and objects.
        files: File name of each image.
        ids: Ids of images, by the paths of `records`, and of categories (default: both count from 1).

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> text = "".join(coco_text(["cat"], [ImageRecord(Path("a.jpg"), 100, 200)], ["a.jpg"]))
        >>> json.loads(text)["images"]
        [{'id': 1, 'file_name': 'a.jpg', 'width': 100, 'height': 200}]
    """
    yield '{\n"info": {"description": "written by attendet"},\n"licenses": [],\n"categories": ['
    categories = [ids.categories[name] for name in names] if ids else range(1, len(names) + 1)
    images = ids.image_ids(str(record.image) for record in records) if ids else range(1, len(records) + 1)
    yield from _json_lines({"id": category, "name": name} for category, name in zip(categories, names, strict=True))
    yield '],\n"images": ['
    yield from _json_lines(
        {"id": image, "file_name": file, "width": record.width, "height": record.height}
        for image, record, file in zip(images, records, files, strict=True)
    )
    yield '],\n"annotations": ['
    yield from _json_lines(_annotations(records, images, categories))
    yield "]\n}\n"


def coco_result(image: int | str, file: str, category: int | str, box: Sequence[float], score: float) -> dict[str, Any]:
    """Return a detection in COCO's results format.

    Args:
        image: Id of the image.
        file: File name of the image.
        category: Id of the category.
        box: x1, y1, x2, y2 in pixels of the image.
        score: Confidence, 0-1.

    Example:
        >>> coco_result(1, "a.jpg", 1, (1.0, 2.0, 4.0, 6.0), 0.5)["bbox"]
        [1.0, 2.0, 3.0, 4.0]
    """
    x1, y1, x2, y2 = box
    return {
        "image_id": image,
        "file_name": file,
        "category_id": category,
        "bbox": [round(value, _RESULT_DECIMALS) for value in (x1, y1, x2 - x1, y2 - y1)],
        "score": round(score, _SCORE_DECIMALS),
    }


def _annotations(
    records: Iterable[ImageRecord], images: Sequence[int | str], categories: Sequence[int | str]
) -> Iterator[dict[str, object]]:
    number = 0
    for image, record in zip(images, records, strict=True):
        objects = zip(record.boxes.tolist(), record.classes.tolist(), record.crowd.tolist(), strict=True)
        for (x1, y1, x2, y2), category, crowd in objects:
            number += 1
            x, y, width, height = (round(value, _PIXEL_DECIMALS) for value in (x1, y1, x2 - x1, y2 - y1))
            yield {
                "id": number,
                "image_id": image,
                "category_id": categories[category],
                "bbox": [x, y, width, height],
                "area": round(width * height, _PIXEL_DECIMALS),
                "iscrowd": int(crowd),
                "segmentation": [],
            }


def voc_text(names: Sequence[str], record: ImageRecord, file: str) -> str:
    """Return the XML of a VOC annotation file.

    Coordinates count from 0, as in most tools, and have decimals if they are not whole pixels.

    Args:
        names: Class names, in the order of their indices.
        record: The image and its objects.
        file: File name of the image.

    Example:
        >>> from pathlib import Path
        >>> box = np.array([[1.0, 2.0, 5.0, 9.5]])
        >>> text = voc_text(["pear"], ImageRecord(Path("a.jpg"), 9, 9, box, np.array([0]), np.array([False])), "a.jpg")
        >>> "<ymax>9.5</ymax>" in text
        True
    """
    objects = zip(record.classes.tolist(), record.boxes.tolist(), strict=True)
    return (
        f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(file)}</filename>\n"
        f"  <size>\n    <width>{record.width}</width>\n    <height>{record.height}</height>\n    <depth>3</depth>\n"
        "  </size>\n  <segmented>0</segmented>\n"
        + "".join(_voc_object(names[int(category)], box) for category, box in objects)
        + "</annotation>\n"
    )


def _voc_object(name: str, box: Sequence[float]) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    return (
        f"  <object>\n    <name>{escape(name)}</name>\n    <pose>Unspecified</pose>\n    <truncated>0</truncated>\n"
        "    <difficult>0</difficult>\n    <bndbox>\n"
        + "".join(f"      <{side}>{_decimal(value, _PIXEL_DECIMALS)}</{side}>\n" for side, value in sides)
        + "    </bndbox>\n  </object>\n"
    )


def _normalize(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (objects, 4) center x, center y, width, and height in 0-1 of the image."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1) / np.tile(sizes, 2)


def _decimal(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _json_lines(entries: Iterable[dict[str, object]]) -> Iterator[str]:
    for position, entry in enumerate(entries):
        yield ("," if position else "") + "\n" + to_json(entry, indent=None)
