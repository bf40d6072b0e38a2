"""`data.yaml`: where the splits of a data set are, and what its classes are called."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attendet.data.paths import exists, is_folder
from attendet.errors import DataError, Location
from attendet.utils.yaml_nodes import Node, parse, read_text

MAX_BYTES = 512 * 1024
MAX_CLASSES = 100_000
SPLITS = ("train", "val", "test")
FORMATS = ("yolo", "coco", "voc")

_KEYS = ("path", *SPLITS, "names", "nc", "format", "images")
# 0-1: `nam` and `valid` look so much like `names` and `val`, and `author` and `train_label` like nothing.
_LOOKS_LIKE = 0.75


@dataclass(frozen=True)
class Entry:
    """One thing that a split is made of.

    Attributes:
        path: Absolute path of a folder, list or json file, or a glob pattern.
        where: The place that names it.
    """

    path: str
    where: Location


@dataclass(frozen=True)
class DataFile:
    """A `data.yaml`, read.

    Attributes:
        root: The data set's folder.
        splits: What each split is made of.
        names: The classes' names, or None where it does not say.
        format: `yolo`, `coco` or `voc`, or None where it does not say.
        images: The folder of the images of a COCO file, or None where it does not say.
    """

    root: Path
    splits: Mapping[str, tuple[Entry, ...]]
    names: tuple[str, ...] | None
    format: str | None
    images: Path | None


def read_data_file(file: Path) -> DataFile:
    """Return what a `data.yaml` says.

    Raises:
        DataError: If it cannot be read, has a key that looks like a misspelt one, or a value that can mean nothing.
    """
    text = read_text(file, DataError, MAX_BYTES)
    top = parse(text, str(file), DataError)
    if not isinstance(top.value, dict):
        raise top.error("it is no mapping", "a data file has lines like `train: images/train`")
    keys = top.value
    for key, node in keys.items():
        # Other tools' keys say nothing about reading; a misspelt `val` would be a split lost without a word.
        nearest = [] if key in _KEYS else difflib.get_close_matches(key.lower()[:100], _KEYS, 1, _LOOKS_LIKE)
        if nearest:
            raise node.error(f"there is no key {key!r}", f"did you mean {nearest[0]!r}?")
    root = _root(keys.get("path"), file)
    splits = {
        split: tuple(Entry(_resolve(word, root, file), node.location) for word, node in _words(keys[split]))
        for split in SPLITS
        if split in keys and keys[split].value is not None
    }
    if not splits:
        raise top.error("it names no train, val or test", "add a line like `train: images/train`")
    images = _word(keys["images"]) if "images" in keys else None
    return DataFile(
        root,
        splits,
        _names(keys.get("names"), keys.get("nc"), text),
        _format(keys.get("format")),
        Path(_resolve(images, root, file)) if images else None,
    )


def _root(node: Node | None, file: Path) -> Path:
    beside = file.resolve().parent
    if node is None or node.value is None:
        return beside
    path = Path(os.path.expanduser(_word(node)))  # noqa: PTH111 - pathlib raises for a ~nobody
    candidates = dict.fromkeys((beside / path, Path.cwd() / path))
    for candidate in candidates:
        if is_folder(candidate):
            return candidate.resolve()
    raise node.error(f"there is no folder {' or '.join(map(str, candidates))}", "name the data set's folder")


def _resolve(word: str, root: Path, file: Path) -> str:
    """Return the absolute path of what the file names: of `path`, of the file's folder, or of the current one."""
    path = Path(os.path.expanduser(word))  # noqa: PTH111
    candidates = [folder / path for folder in (root, file.resolve().parent, Path.cwd())]
    if path.parts[:1] == ("..",):
        # Exports of Roboflow write ../train/images for the train/images beside them.
        candidates.append(root / Path(*path.parts[1:]))
    found = next((candidate for candidate in candidates if exists(candidate)), None)
    if found is None and glob.has_magic(word) and not path.is_absolute():
        # The pattern is what was written; brackets in the folder's own name are none.
        return f"{glob.escape(str(root))}/{word}"
    return str(found or candidates[0])


def _words(node: Node) -> list[tuple[str, Node]]:
    if isinstance(node.value, list):
        if not node.value:
            raise node.error("the list is empty", "name a folder, a glob pattern or a list of images")
        return [(_word(item), item) for item in node.value]
    return [(_word(node), node)]


def _word(node: Node) -> str:
    if not isinstance(node.value, str) or not node.value.strip():
        raise node.error("this is no path", "name a folder, a glob pattern or a file")
    if not node.value.isprintable():
        raise node.error("this is more than one line", "name a folder, a glob pattern or a file")
    return node.value


def _format(node: Node | None) -> str | None:
    if node is None or node.value is None or node.value == "auto":
        return None
    if node.value not in FORMATS:
        raise node.error(f"there is no format {node.value!r}", f"there are {', '.join(FORMATS)}")
    return str(node.value)


def _names(node: Node | None, count: Node | None, text: str) -> tuple[str, ...] | None:
    number = _count(count)
    if node is None or node.value is None:
        return None if number is None else tuple(f"class{position}" for position in range(number))
    match node.value:
        case list() as items:
            names = [_name(item, text) for item in items]
        case dict() as by_number:
            numbers = [str(position) for position in range(len(by_number))]
            if set(by_number) != set(numbers):
                raise node.error("the numbers of names do not run from 0 without a gap")
            names = [_name(by_number[position], text) for position in numbers]
        case _:
            raise node.error("names is no list", "write [cat, dog], or 0: cat and 1: dog on lines of their own")
    if not names:
        raise node.error("there are no names", "write [cat, dog]")
    if count is not None and number is not None and number != len(names):
        raise count.error(f"nc is {number}, and there are {len(names)} names", "leave nc out")
    return tuple(names)


def _count(node: Node | None) -> int | None:
    if node is None or node.value is None:
        return None
    if not isinstance(node.value, int) or not 1 <= node.value <= MAX_CLASSES:
        raise node.error(f"nc is {node.plain()!r}", f"it is the number of classes, from 1 to {MAX_CLASSES:,}")
    return node.value


def _name(node: Node, text: str) -> str:
    """Return a class's name as it is written: `on` and `007` are names, and to YAML a truth and a number."""
    name = node.value if isinstance(node.value, str) else text[slice(*node.span)]
    if isinstance(node.value, list | dict) or not name.strip() or not name.isprintable():
        raise node.error("this is no name of a class", "write a word, in quotes where it is not plain")
    return name.strip()


def is_data_file(path: Path) -> bool:
    """Return whether a path ends like a `data.yaml`."""
    return path.suffix.lower() in (".yaml", ".yml")
