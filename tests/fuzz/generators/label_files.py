"""Small data sets with hostile labels: YOLO text, VOC XML, and COCO JSON."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape

from tests.fuzz.hostile_values import TEXTS, equal_hashes, scalar
from tests.fuzz.mutations import mutate_bytes, mutate_value, sometimes
from tests.helpers.data_sets import write_image

_BOX = (
    "<object><name>cat</name><difficult>0</difficult><bndbox>"
    "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8.5</ymax></bndbox></object>"
)
_ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "&x;&x;">]>'
_XML_PARTS = (
    _ENTITY,
    "&y;",
    "&#0;",
    "&lt;",
    "<![CDATA[cat]]>",
    "<!-- x -->",
    "<?php touch ran ?>",
    "<a>" * 2000,
    "</object>",
    "<object>",
    _BOX * 200,
    "<xmin>nan</xmin>",
    "<name>\u202e</name>",
)
_ENCODINGS = ("utf-8", "utf-16", "utf-7", "ascii", "idna", "unicode_escape", "hex", "x", "os", "undefined", "punycode")


def write_yolo_set(random: Random, folder: Path) -> Path:
    """Write a YOLO data set with hostile label files."""
    for name in ("a", "b"):
        write_image(folder / "images" / f"{name}.png", (16, 12))
        label = folder / "labels" / f"{name}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_bytes(_changed(random, "\n".join(_yolo_row(random) for _ in range(random.randrange(4)))))
    return _data_file(folder, "yolo", "images")


def write_voc_set(random: Random, folder: Path) -> Path:
    """Write a VOC data set with a hostile annotation."""
    write_image(folder / "JPEGImages" / "a.png", (16, 12))
    annotation = folder / "Annotations" / "a.xml"
    annotation.parent.mkdir()
    start = f'<?xml version="1.0" encoding="{random.choice(_ENCODINGS)}"?>' if sometimes(random, 0.5) else ""
    parts = [start, "<annotation>", "<size><width>16</width><height>12</height></size>", _BOX, "</annotation>"]
    for _ in range(random.choice((0, 1, 2))):
        part = random.choice((*_XML_PARTS, f"<name>{escape(random.choice(TEXTS))}</name>"))
        parts.insert(random.randrange(len(parts) + 1), part)
    text = "".join(parts)
    if sometimes(random, 0.4):
        number = random.choice(("1", "2", "9", "8.5", "16", "12", "cat"))
        text = text.replace(f">{number}<", f">{escape(str(scalar(random)))}<")
    annotation.write_bytes(_changed(random, text))
    return _data_file(folder, "voc", "JPEGImages")


def write_coco_set(random: Random, folder: Path) -> Path:
    """Write a COCO data set with a hostile JSON file."""
    for name in ("a", "b"):
        write_image(folder / "images" / f"{name}.png", (16, 12))
    text = json.dumps(mutate_value(random, _coco(random)))
    (folder / "train.json").write_bytes(_changed(random, text))
    return _data_file(folder, "coco", "train.json")


def _coco(random: Random) -> dict[str, Any]:
    images = [{"id": number, "file_name": f"{name}.png", "width": 16, "height": 12} for number, name in enumerate("ab")]
    annotations = [
        {"id": number, "image_id": number % 2, "category_id": 1, "bbox": [1, 2, 3, 4.5], "iscrowd": 0, "area": 13.5}
        for number in range(3)
    ]
    if sometimes(random, 0.05):
        ids = equal_hashes(random.choice((100, 5000, 20_000)))
        images += [{"id": key, "file_name": f"{key}.png"} for key in ids]
        annotations += [{**annotations[0], "image_id": key} for key in ids]
    if sometimes(random, 0.2):
        annotations[0]["segmentation"] = [[1.0] * random.choice((6, 1000))]
    return {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": annotations}


def _yolo_row(random: Random) -> str:
    numbers = ["0", "0.5", "0.5", "0.25", "0.5"]
    for _ in range(random.choice((0, 1, 1, 3))):
        numbers[random.randrange(5)] = str(scalar(random))
    numbers += ["0.1"] * random.choice((0, 0, 0, 1, 2, 40))
    return random.choice((" ", " ", "\t", ",", "  ")).join(numbers)


def _changed(random: Random, text: str) -> bytes:
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"))
    content = text.encode(encoding, "surrogatepass" if encoding != "utf-8-sig" else "replace")
    return mutate_bytes(random, content) if sometimes(random, 0.3) else content


def _data_file(folder: Path, kind: str, split: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(f"train: {split}\nimages: images\nformat: {kind}\nnames: [cat, dog]\n")
    return path
