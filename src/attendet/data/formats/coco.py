"""COCO's label format: a JSON file with the images, categories, and annotations of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.data.formats.labels import MAX_COORDINATE, ImageLabels, LabelBuilder, parse_coordinate
from attendet.data.paths import is_file
from attendet.data.records import Problem
from attendet.errors import DataError, Location
from attendet.utils.io import read_json
from attendet.utils.text import is_legible, short_repr

MAX_BYTES = 1024 * 1024 * 1024
"""Largest file: twice the size of the file of COCO's own 118,287 training images."""

_LEAST_EQUAL_HASH = 2**60
# Random ids of 64 bits have equal hashes by chance, but not this often.
_MAX_EQUAL_HASHES = 16

_ANNOTATION_KEYS = ("id", "image_id", "category_id", "bbox", "iscrowd")


@dataclass(frozen=True)
class CocoFile:
    """The content of a COCO file.

    Attributes:
        file: Path of the JSON file.
        categories: Category names by id, in the order of the ids.
        images: File name of each image as in the file, with the width and height that the file states (None if it does
            not), in the order of the file.
        annotations: The annotations of each image, in the order of `images`, as in the file. One of another format
            that cannot be a box has a `problem` instead of a `bbox`.
        image_ids: Id of each image, in the order of `images`.
        repeated_ids: Ids of several images; it is unknown which of them the annotations describe.
        problems: Images and annotations that cannot be read, and annotations of images that the file does not have.
    """

    file: str
    categories: Mapping[Any, str]
    images: Sequence[tuple[str, tuple[int, int] | None]]
    annotations: Sequence[Sequence[Mapping[str, Any]]]
    image_ids: Sequence[int | str]
    repeated_ids: frozenset[int | str]
    problems: tuple[Problem, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, in the order of the category ids; categories of equal name are one class."""
        return tuple(dict.fromkeys(self.categories.values()))

    def labels(self) -> Iterator[ImageLabels]:
        """Yield the labels of each image; a class is a category name, or the id of a category that does not exist."""
        columns = zip(self.images, self.image_ids, self.annotations, strict=True)
        for (name, stated_size), image_id, of_image in columns:
            builder, shown = LabelBuilder(self.file), name.replace("\\", "/")
            if image_id in self.repeated_ids:
                builder.add_problem(f"{shown}: another image has its id {short_repr(image_id)}, too")
            for annotation in of_image:
                description = f"{shown}, annotation {short_repr(annotation.get('id'))}"
                try:
                    category, box = self._category(annotation), _box(annotation)
                except ValueError as error:
                    builder.add_problem(f"{description}: {error}")
                else:
                    crowd = annotation.get("iscrowd") in (1, True)
                    builder.add_object(category, box, crowd=crowd, description=description)
            yield builder.build(stated_size=stated_size)

    def _category(self, annotation: Mapping[str, Any]) -> int | str:
        category_id = annotation.get("category_id")
        if category_id is None or not _is_id(category_id):
            raise ValueError(f"category_id must be an integer or text, got {short_repr(category_id)}")
        return self.categories.get(category_id, category_id)


def read_coco(path: Path) -> CocoFile:
    """Read a COCO file.

    Raises:
        DataError: If the file cannot be read, is not JSON, has more than 1 GiB, or is not a COCO file.
    """
    where = Location(str(path))
    if not is_file(path):
        raise DataError("COCO file not found", where=where)
    remedy = "split it, or convert it to YOLO"
    if path.stat().st_size > MAX_BYTES:
        # `read_json` has the same limit, but would read a gigabyte to find out.
        raise DataError(f"the file is larger than {MAX_BYTES:,} bytes", where=where, remedy=remedy)
    content = read_json(path, MAX_BYTES, remedy=remedy, object_hook=_drop_polygons)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError("a COCO file must be an object with a list `images`", where=where)
    entries = {key: content.get(key) or [] for key in ("categories", "annotations")}
    for key, value in entries.items():
        if not isinstance(value, list):
            raise DataError(f"`{key}` must be a list, got {short_repr(value)}", where=where)
    _require_different_hashes([*content["images"], *entries["categories"]], where)
    builder = LabelBuilder(str(path))
    images, repeated_ids = _parse_images(content["images"], builder)
    annotations = _annotations_by_image(entries["annotations"], images, builder)
    return CocoFile(
        str(path),
        _parse_categories(entries["categories"], where),
        tuple(images.values()),
        tuple(annotations.values()),
        tuple(images),
        frozenset(repeated_ids),
        builder.build().problems,
    )


def _require_different_hashes(entries: Sequence[Any], where: Location) -> None:
    """Raise an error if a file chose ids with equal hashes, so that a lookup compares all ids with each other.

    The hash of an integer is the integer modulo 2**61 - 1, so that only larger ones can be equal.
    """
    ids = (entry.get("id") for entry in entries if isinstance(entry, dict))
    large = {str(each): hash(each) for each in ids if isinstance(each, int) and abs(each) >= _LEAST_EQUAL_HASH}
    if max(Counter(map(str, large.values())).values(), default=0) > _MAX_EQUAL_HASHES:
        raise DataError("many ids are equal modulo 2**61 - 1", where=where, remedy="use ids below 2**60")


def _drop_polygons(entry: dict[str, Any]) -> dict[str, Any]:
    """Reduce an annotation to the keys that are used, as soon as it is read: polygons are most of the file."""
    return {key: entry[key] for key in _ANNOTATION_KEYS if key in entry} if "image_id" in entry else entry


def _parse_images(
    entries: Sequence[Any], builder: LabelBuilder
) -> tuple[dict[Any, tuple[str, tuple[int, int] | None]], set[Any]]:
    """Return the first image of each id, and the ids of several images."""
    images, repeated_ids = {}, set()
    for number, entry in enumerate(entries, start=1):
        image_id, name = (entry.get(key) for key in ("id", "file_name")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not name or not is_legible(name):
            builder.add_problem(f"image number {number} must have a file_name of printable text")
        elif not _is_id(image_id):
            builder.add_problem(f"the id of {name} must be an integer or text, got {short_repr(image_id)}")
        elif image_id in images:
            builder.add_problem(f"the id of {name} must be unique, got {short_repr(image_id)}")
            repeated_ids.add(image_id)
        else:
            images[image_id] = (name, _stated_size(entry))
    return images, repeated_ids


def _annotations_by_image(
    entries: Sequence[Any], images: Mapping[Any, object], builder: LabelBuilder
) -> dict[Any, list[Mapping[str, Any]]]:
    annotations: dict[Any, list[Mapping[str, Any]]] = {image_id: [] for image_id in images}
    # Some programs write the ids of images as numbers in one list and as text in the other.
    by_text = {} if len({str(image_id) for image_id in images}) < len(images) else {str(each): each for each in images}
    for number, entry in enumerate(entries, start=1):
        image_id = entry.get("image_id") if isinstance(entry, dict) else None
        if not _is_id(image_id):
            builder.add_problem(f"annotation number {number} has no valid image_id")
        elif (known_id := image_id if image_id in annotations else by_text.get(str(image_id))) is None:
            annotation_id = short_repr(entry.get("id"))
            builder.add_problem(f"annotation {annotation_id}: the file has no image with id {short_repr(image_id)}")
        else:
            annotations[known_id].append(entry)
    if entries and images and not any(annotations.values()):
        raise DataError(
            f"no annotation belongs to an image of the file; the first of {len(entries):,} has the image_id "
            f"{short_repr(entries[0].get('image_id') if isinstance(entries[0], dict) else entries[0])}",
            where=Location(builder.file),
            remedy="use the ids of `images`",
        )
    return annotations


def _stated_size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    if not isinstance(width, int) or not isinstance(height, int):
        return None
    return (width, height) if 0 < width < MAX_COORDINATE and 0 < height < MAX_COORDINATE else None


def _parse_categories(entries: Sequence[Any], where: Location) -> dict[Any, str]:
    categories = {}
    for number, entry in enumerate(entries, start=1):
        category_id, name = (entry.get(key) for key in ("id", "name")) if isinstance(entry, dict) else (None, None)
        if not _is_id(category_id) or not isinstance(name, str) or not name.strip() or not is_legible(name):
            raise DataError(f"category number {number} must have an id and a name of printable text", where=where)
        if category_id in categories:
            raise DataError(f"category ids must be unique, got {short_repr(category_id)} twice", where=where)
        # Names in data.yaml and VOC files have no surrounding space; with one, this would be a different class.
        categories[category_id] = name.strip()
    return dict(sorted(categories.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _box(annotation: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return the corners of a box given as x, y, width, height; raise ValueError if it is not valid."""
    if "problem" in annotation:
        raise ValueError(annotation["problem"])
    values = annotation.get("bbox")
    if not isinstance(values, list) or len(values) != 4:
        raise ValueError(f"bbox must be four numbers, got {short_repr(values)}")
    x, y, width, height = map(parse_coordinate, values)
    if width < 0 or height < 0:
        raise ValueError(f"width and height of bbox must not be negative, got {short_repr(values)}")
    return x, y, x + width, y + height


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
