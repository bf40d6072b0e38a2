"""COCO's json: all images, categories and annotations of a split in one file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.data.formats.labels import LARGEST, Labels, Rows, coordinate
from attendet.data.paths import is_file, is_folder
from attendet.data.records import Problem
from attendet.errors import DataError, Location

MAX_BYTES = 1024 * 1024 * 1024
"""Longest file: twice that of COCO's own 118,287 training images."""

_OF_ANNOTATIONS = ("id", "image_id", "category_id", "bbox", "iscrowd")


@dataclass(frozen=True)
class Document:
    """A COCO file, read.

    Attributes:
        file: The json file.
        categories: Name by id, in the order of the ids.
        images: (file name, stated width and height) of each image, in the file's order.
        annotations: Those of each image, as they stand.
        problems: What could not be read, or belongs to no image.
    """

    file: str
    categories: Mapping[Any, str]
    images: Sequence[tuple[str, tuple[int, int] | None]]
    annotations: Sequence[Sequence[Mapping[str, Any]]]
    problems: tuple[Problem, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The categories' names in the order of their ids; equal names are one class."""
        return tuple(dict.fromkeys(self.categories.values()))

    def labels(self) -> Iterator[Labels]:
        """Yield the labels of each image; classes are names, or the id of a category that does not exist."""
        for (name, size), of_image in zip(self.images, self.annotations, strict=True):
            rows = Rows(self.file)
            for annotation in of_image:
                words = f"{name}, annotation {_shown(annotation.get('id'))}"
                try:
                    category, box = self._category(annotation), _box(annotation.get("bbox"))
                except ValueError as error:
                    rows.fault(f"{words}: {error}")
                else:
                    rows.add(category, box, crowd=annotation.get("iscrowd") in (1, True), words=words)
            yield rows.labels(size=size)

    def _category(self, annotation: Mapping[str, Any]) -> int | str:
        identity = annotation.get("category_id")
        if identity is None or not _is_identity(identity):
            raise ValueError(f"its category_id is {_shown(identity)}")
        return self.categories.get(identity, identity)


def file_of(entry: Path, where: Location) -> Path:
    """Return the json file that an entry names: itself, or the only one in a folder.

    Raises:
        DataError: If there is none.
    """
    if not is_folder(entry):
        return entry
    files = sorted(entry.glob("*.json"))
    if len(files) != 1:
        raise DataError(f"there are {len(files)} json files in {entry}", where=where, remedy="name one json file")
    return files[0]


def read_document(path: Path) -> Document:
    """Return a COCO file's content.

    Raises:
        DataError: If it cannot be read, is not JSON, has more than 1 GiB, or is no COCO file.
    """
    content = _load(path)
    where = Location(str(path))
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError("it is no COCO file", where=where, remedy="there has to be an object with a list of images")
    parts = {key: content.get(key) or [] for key in ("categories", "annotations")}
    for key, entries in parts.items():
        if not isinstance(entries, list):
            raise DataError(f"{key} is no list", where=where)
    rows = Rows(str(path))
    images = _images(content["images"], rows)
    annotations: dict[Any, list[Mapping[str, Any]]] = {identity: [] for identity in images}
    for number, annotation in enumerate(parts["annotations"], start=1):
        image = annotation.get("image_id") if isinstance(annotation, dict) else None
        if not _is_identity(image):
            rows.fault(f"annotation number {number} names no image")
        elif image not in annotations:
            rows.fault(f"annotation {_shown(annotation.get('id'))} is of image {_shown(image)}, which is not there")
        else:
            annotations[image].append(annotation)
    return Document(
        str(path),
        _categories(parts["categories"], where),
        tuple(images.values()),
        tuple(annotations.values()),
        rows.labels().problems,
    )


def _load(path: Path) -> Any:
    where = Location(str(path))
    if not is_file(path):
        raise DataError("there is no such file", where=where)
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"it has more than {MAX_BYTES:,} bytes", where=where, remedy="split it, or convert it to YOLO")
    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.load(file, object_hook=_slim)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", where=where) from error
    except json.JSONDecodeError as error:
        place = Location(str(path), error.lineno, error.colno)
        raise DataError(f"it is not JSON: {error.msg}", where=place) from error
    except (ValueError, RecursionError) as error:
        # Not UTF-8, a number of thousands of digits, or brackets without end.
        raise DataError("it is not JSON that can be read", where=where) from error


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    """Drop an annotation's polygons as soon as they are read: they are most of the file."""
    return {key: entry[key] for key in _OF_ANNOTATIONS if key in entry} if "image_id" in entry else entry


def _images(entries: Sequence[Any], rows: Rows) -> dict[Any, tuple[str, tuple[int, int] | None]]:
    images = {}
    for number, entry in enumerate(entries, start=1):
        identity, name = (entry.get(key) for key in ("id", "file_name")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not name or not name.isprintable():
            rows.fault(f"image number {number} has no file_name that can be one")
        elif not _is_identity(identity):
            rows.fault(f"the id of {name} is {_shown(identity)}, which is none")
        elif identity in images:
            rows.fault(f"the id of {name} is {_shown(identity)}, which is taken")
        else:
            images[identity] = (name.replace("\\", "/"), _size(entry))
    return images


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    if not isinstance(width, int) or not isinstance(height, int) or not (0 < width < LARGEST and 0 < height < LARGEST):
        return None
    return width, height


def _categories(entries: Sequence[Any], where: Location) -> dict[Any, str]:
    categories = {}
    for number, entry in enumerate(entries, start=1):
        identity, name = (entry.get(key) for key in ("id", "name")) if isinstance(entry, dict) else (None, None)
        if not _is_identity(identity) or not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise DataError(f"category number {number} has no id or no name", where=where)
        if identity in categories:
            raise DataError(f"two categories have the id {_shown(identity)}", where=where)
        # As data.yaml and VOC have them; a space at the end would make it another class there.
        categories[identity] = name.strip()
    return dict(sorted(categories.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _box(values: Any) -> tuple[float, float, float, float]:
    """Return the corners of x, y, width, height; a `ValueError` says what is wrong."""
    if not isinstance(values, list) or len(values) != 4:
        raise ValueError(f"its bbox is {_shown(values)}, not four numbers")
    x, y, width, height = map(coordinate, values)
    if width < 0 or height < 0:
        raise ValueError(f"its bbox is {_shown(values)}, of negative width or height")
    return x, y, x + width, y + height


def _is_identity(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def folder_of_images(document: Document, given: Path | None, split: str, root: Path) -> Path:
    """Return the folder that a COCO file's image names are relative to, found by looking.

    Args:
        document: The file.
        given: The folder, where it is known.
        split: The split's name, after which the folder may be called.
        root: The data set's folder.

    Raises:
        DataError: If the first images are nowhere.
    """
    if given is not None:
        return given
    file = Path(document.file)
    # instances_train2017.json has its images in train2017.
    word = file.stem.rsplit("_", maxsplit=1)[-1]
    parents = dict.fromkeys((file.parent, file.parent.parent, root))
    below = ("", "images", f"images/{split}", f"images/{word}", split, word)
    folders = [parent / name for parent in parents for name in below]
    for name, _ in document.images[:20]:
        for folder in folders:
            if is_file(folder / name):
                return folder
    first = document.images[0][0] if document.images else "any image"
    raise DataError(
        f"{first} is neither beside it nor in a folder images",
        where=Location(document.file),
        remedy="name the folder of the images in data.yaml: `images: folder`",
    )
