"""Records as text: YOLO's lines, COCO's json, Pascal VOC's xml; digits enough to come back from any of them.

Pixels have 9 digits after the point and YOLO's shares 14, so that the rounding of neither moves the other's last digit:
a box converted back and forth is the same to 1e-8 pixels, and from the second time on to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape  # only writes; reading is what needs defusing

import numpy as np
from numpy.typing import NDArray

from attendet.data.formats.yolo import LEEWAY
from attendet.data.records import ImageRecord

PIXEL_DIGITS = 9
SHARE_DIGITS = 14
RESULT_DIGITS = 3
SCORE_DIGITS = 5


def yolo_text(record: ImageRecord) -> str:
    r"""Return a line per object: class, then center x, center y, width, height as shares of the image.

    Example:
        >>> from pathlib import Path
        >>> box = np.array([[10.0, 20.0, 30.0, 60.0]])
        >>> yolo_text(ImageRecord(Path("a.jpg"), 100, 200, box, np.array([2]), np.array([False])))
        '2 0.2 0.2 0.2 0.2\n'
    """
    shares = _shares(record.boxes, np.array([[record.width, record.height]]))
    rows = zip(record.classes.tolist(), shares.tolist(), strict=True)
    return "".join(f"{label} {' '.join(_digits(share, SHARE_DIGITS) for share in row)}\n" for label, row in rows)


def fits_yolo(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (objects,) whether YOLO's lines can hold a box: its center inside the image, and not larger than it.

    Args:
        boxes: (objects, 4) x1, y1, x2, y2 in pixels.
        sizes: (objects, 2) width and height of their images in pixels.
    """
    shares = _shares(boxes, sizes)
    return np.asarray(((shares >= -LEEWAY) & (shares <= 1 + LEEWAY)).all(axis=1) & (shares[:, 2:] >= 0).all(axis=1))


def coco_text(names: Sequence[str], records: Iterable[ImageRecord], files: Sequence[str]) -> Iterator[str]:
    """Yield a COCO document in pieces, an image or an object a line.

    Categories are numbered from 1 in the order of `names`, images from 1 in theirs.

    Args:
        names: The classes.
        records: The images; they are gone through twice.
        files: What to call each image.
    """
    yield '{\n"info": {"description": "written by attendet"},\n"licenses": [],\n"categories": ['
    yield from _lines({"id": label, "name": name} for label, name in enumerate(names, start=1))
    yield '],\n"images": ['
    yield from _lines(
        {"id": image, "file_name": file, "width": record.width, "height": record.height}
        for image, (record, file) in enumerate(zip(records, files, strict=True), start=1)
    )
    yield '],\n"annotations": ['
    yield from _lines(_annotations(records))
    yield "]\n}\n"


def coco_result(image: int, file: str, category: int, box: Sequence[float], score: float) -> dict[str, Any]:
    """Return a detection as COCO's result files have it; categories are numbered as `coco_text` numbers them, from 1.

    Args:
        image: The image's number, from 1.
        file: What to call the image.
        category: The class's number, from 0.
        box: x1, y1, x2, y2 in pixels of the image.
        score: The confidence in 0-1.

    Example:
        >>> coco_result(1, "a.jpg", 0, (1.0, 2.0, 4.0, 6.0), 0.5)["bbox"]
        [1.0, 2.0, 3.0, 4.0]
    """
    x1, y1, x2, y2 = box
    return {
        "image_id": image,
        "file_name": file,
        "category_id": category + 1,
        "bbox": [round(side, RESULT_DIGITS) for side in (x1, y1, x2 - x1, y2 - y1)],
        "score": round(score, SCORE_DIGITS),
    }


def _annotations(records: Iterable[ImageRecord]) -> Iterator[dict[str, object]]:
    number = 0
    for image, record in enumerate(records, start=1):
        for box, label, crowd in zip(
            record.boxes.tolist(), record.classes.tolist(), record.crowd.tolist(), strict=True
        ):
            number += 1
            x, y, width, height = (round(value, PIXEL_DIGITS) for value in (*box[:2], box[2] - box[0], box[3] - box[1]))
            yield {
                "id": number,
                "image_id": image,
                "category_id": label + 1,
                "bbox": [x, y, width, height],
                "area": round(width * height, PIXEL_DIGITS),
                "iscrowd": int(crowd),
                "segmentation": [],
            }


def voc_text(names: Sequence[str], record: ImageRecord, file: str) -> str:
    """Return the xml of one image.

    Coordinates are counted from 0, as most tools do, and have a point where they are no whole pixels.

    Args:
        names: The classes.
        record: The image and its objects.
        file: What to call the image.
    """
    objects = zip(record.classes.tolist(), record.boxes.tolist(), strict=True)
    return (
        f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(file)}</filename>\n"
        f"  <size>\n    <width>{record.width}</width>\n    <height>{record.height}</height>\n    <depth>3</depth>\n"
        "  </size>\n  <segmented>0</segmented>\n"
        + "".join(_voc_object(names[int(label)], box) for label, box in objects)
        + "</annotation>\n"
    )


def _voc_object(name: str, box: Sequence[float]) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    return (
        f"  <object>\n    <name>{escape(name)}</name>\n    <pose>Unspecified</pose>\n    <truncated>0</truncated>\n"
        "    <difficult>0</difficult>\n    <bndbox>\n"
        + "".join(f"      <{side}>{_digits(value, PIXEL_DIGITS)}</{side}>\n" for side, value in sides)
        + "    </bndbox>\n  </object>\n"
    )


def _shares(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (objects, 4) center x, center y, width, height as shares of the image."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1) / np.tile(sizes, 2)


def _digits(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _lines(entries: Iterable[dict[str, object]]) -> Iterator[str]:
    for position, entry in enumerate(entries):
        yield ("," if position else "") + "\n" + json.dumps(entry, ensure_ascii=False)
