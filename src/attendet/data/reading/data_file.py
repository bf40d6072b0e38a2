"""The file `data.yaml`: where the splits of a data set are, and the names of its classes."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attendet.data.image_decoding.sixteen_bits import MAX_BIT_DEPTH, MIN_BIT_DEPTH, BitDepth
from attendet.data.paths import is_folder, locate
from attendet.errors import DataError, Location
from attendet.utils.limits import MAX_CLASSES
from attendet.utils.text import is_legible, short_repr
from attendet.utils.yaml_nodes import Node, parse, read_yaml_text

MAX_BYTES = 512 * 1024
SPLITS = ("train", "val", "test")
FORMATS = ("yolo", "coco", "voc", "cvat")

_KEYS = ("path", *SPLITS, "names", "nc", "format", "images", "bit_depth")
# Similarity (0-1) from which a key counts as misspelled: `nam` and `valid` are similar to `names` and `val`, while
# `author` and `train_label`, which other tools write, are similar to no key.
_MIN_SIMILARITY = 0.75

_PATH_KEY = re.compile(r"(path|train|val|test|images)\s*:")
_DOUBLE_QUOTED = re.compile(r'"([^"]*)"')
_WINDOWS_ESCAPE = re.compile(r'(?<!\\)(?:\\\\)*\\(?!["\\/ ]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})')

_NAME_A_PATH = "name a folder, a glob pattern, or a file"


@dataclass(frozen=True)
class SplitEntry:
    """A path that a split consists of.

    Attributes:
        path: Absolute path of a folder, a list of images, or a COCO file; or an absolute glob pattern.
        where: Location of the entry in the data.yaml, for messages.
    """

    path: str
    where: Location


@dataclass(frozen=True)
class DataFile:
    """The content of a data.yaml.

    Attributes:
        root: Folder of the data set.
        splits: Entries of each split.
        names: Class names, in the order of their indices; None if the file has no names.
        format: `yolo`, `coco`, `voc`, or `cvat`; None if the file does not state the format.
        images: Folder of the images of a COCO file; None if the file does not name it.
        found_by: The file that shows the format, for messages; None if the format is stated.
        bit_depth: Number of bits (8 to 16) of the values in images with 16 bits per channel, or `auto`; None if the
            file does not state it.
    """

    root: Path
    splits: Mapping[str, tuple[SplitEntry, ...]]
    names: tuple[str, ...] | None
    format: str | None
    images: Path | None
    found_by: str | None = None
    bit_depth: BitDepth | None = None


def is_data_file(path: Path) -> bool:
    """Return whether a path has the suffix of a data.yaml.

    Example:
        >>> is_data_file(Path("coco128.yml")), is_data_file(Path("train.json"))
        (True, False)
    """
    return path.suffix.lower() in (".yaml", ".yml")


def read_data_file(file: Path) -> DataFile:
    """Read a data.yaml.

    Raises:
        DataError: If the file cannot be read, has a key that looks misspelled, or has a value that is not valid.
    """
    text = _with_slashes(read_yaml_text(file, DataError, MAX_BYTES))
    top = parse(text, str(file), DataError)
    if not isinstance(top.value, dict):
        raise top.error("data.yaml must be a mapping of keys to values", "write lines like `train: images/train`")
    keys = top.value
    for key, node in keys.items():
        # Keys of other tools are ignored. A misspelled `val` must not be: the split would be lost without a message.
        nearest = [] if key in _KEYS else difflib.get_close_matches(key.lower()[:100], _KEYS, 1, _MIN_SIMILARITY)
        if nearest:
            raise node.error(f"unknown key {short_repr(key)}", f"did you mean {nearest[0]!r}?")
    root = _root(keys.get("path"), file)
    splits = {
        split: tuple(SplitEntry(_resolve(path, root, file), node.location) for path, node in _paths(keys[split]))
        for split in SPLITS
        if split in keys and keys[split].value is not None
    }
    if not splits:
        raise top.error("data.yaml must have a key `train`, `val`, or `test`", "add a line like `train: images/train`")
    images = _path(keys["images"]) if "images" in keys else None
    return DataFile(
        root,
        splits,
        _names(keys.get("names"), keys.get("nc"), text),
        _format(keys.get("format")),
        Path(_resolve(images, root, file)) if images else None,
        bit_depth=_bit_depth(keys.get("bit_depth")),
    )


def _with_slashes(text: str) -> str:
    r"""Return the text of a data.yaml with the backslashes of paths in double quotes as they are meant.

    In double quotes, YAML reads `\t` in "images\train" as a tab. A path with such an escape is put in single quotes,
    which leaves its backslashes and the columns of the file as they are. Escapes for characters that are not ASCII, and
    for the backslash itself, are kept.
    """
    lines = text.split("\n")
    is_path = False
    for index, line in enumerate(lines):
        is_path = bool(_PATH_KEY.match(line)) or (is_path and line[:1] in (" ", "-", ""))
        if is_path:
            lines[index] = _DOUBLE_QUOTED.sub(lambda match: _requote(match[1]), line)
    return "\n".join(lines)


def _requote(quoted: str) -> str:
    is_windows_path = _WINDOWS_ESCAPE.search(quoted) and "'" not in quoted
    return f"'{quoted}'" if is_windows_path else f'"{quoted}"'


def _root(node: Node | None, file: Path) -> Path:
    folder = file.resolve().parent
    if node is None or node.value is None:
        return folder
    path = os.path.expanduser(_path(node))  # noqa: PTH111 - pathlib raises for users that do not exist
    candidates = dict.fromkeys((folder / path, Path.cwd() / path))
    found = locate(path, (folder, Path.cwd()))
    if found is not None and is_folder(found):
        return Path(found).resolve()
    raise node.error(f"folder not found: {' or '.join(map(str, candidates))}", "name the folder of the data set")


def _resolve(text: str, root: Path, file: Path) -> str:
    """Return the absolute path for a path in the file: relative to `path`, to the file, or to the current folder."""
    expanded = os.path.expanduser(text)  # noqa: PTH111 - pathlib raises for users that do not exist
    folders = (root, file.resolve().parent, Path.cwd())
    existing = locate(expanded, folders)
    slashed = expanded.replace("\\", "/")
    if existing is None and slashed.startswith("../"):
        # Roboflow writes ../train/images for the folder train/images next to the file.
        existing = locate(slashed.removeprefix("../"), [root])
    if existing is None and glob.has_magic(text) and not Path(expanded).is_absolute():
        # Only the text in the file is a pattern; brackets in the name of the root folder are not.
        return f"{glob.escape(str(root))}/{slashed}"
    return existing or str(root / slashed)


def _paths(node: Node) -> list[tuple[str, Node]]:
    if isinstance(node.value, list):
        if not node.value:
            raise node.error("the list must not be empty", _NAME_A_PATH)
        return [(_path(item), item) for item in node.value]
    return [(_path(node), node)]


def _path(node: Node) -> str:
    if not isinstance(node.value, str) or not node.value.strip():
        raise node.error(f"the value must be a path, got {short_repr(node.plain())}", _NAME_A_PATH)
    if not is_legible(node.value):
        raise node.error("the path must be a single line of text", f"{_NAME_A_PATH}, with / instead of \\")
    return node.value


def _format(node: Node | None) -> str | None:
    if node is None or node.value is None or node.value == "auto":
        return None
    if node.value not in FORMATS:
        raise node.error(f"`format` must be one of {', '.join(FORMATS)}, got {short_repr(node.plain())}")
    return str(node.value)


def _bit_depth(node: Node | None) -> BitDepth | None:
    if node is None or node.value is None:
        return None
    if node.value == "auto":
        return "auto"
    if type(node.value) is not int or not MIN_BIT_DEPTH <= node.value <= MAX_BIT_DEPTH:
        value = short_repr(node.plain())
        raise node.error(f"`bit_depth` must be auto, or {MIN_BIT_DEPTH} to {MAX_BIT_DEPTH} bits, got {value}")
    return node.value


def _names(node: Node | None, count: Node | None, text: str) -> tuple[str, ...] | None:
    num_classes = _num_classes(count)
    if node is None or node.value is None:
        return None if num_classes is None else tuple(f"class{index}" for index in range(num_classes))
    match node.value:
        case list() as items:
            names = [_name(item, text) for item in items]
        case dict() as by_index:
            indices = [str(index) for index in range(len(by_index))]
            if set(by_index) != set(indices):
                raise node.error("the numbers of `names` must count from 0 without a gap")
            names = [_name(by_index[index], text) for index in indices]
        case _:
            remedy = "write [cat, dog], or lines like `0: cat`"
            raise node.error(f"`names` must be a list or a mapping, got {short_repr(node.plain())}", remedy)
    if not names:
        raise node.error("`names` must not be empty", "write [cat, dog]")
    if count is not None and num_classes is not None and num_classes != len(names):
        raise count.error(f"`nc` must be the number of names, {len(names)}, got {num_classes}", "remove `nc`")
    return tuple(names)


def _num_classes(node: Node | None) -> int | None:
    if node is None or node.value is None:
        return None
    if not isinstance(node.value, int) or not 1 <= node.value <= MAX_CLASSES:
        raise node.error(
            f"`nc` must be the number of classes, from 1 to {MAX_CLASSES:,}, got {short_repr(node.plain())}"
        )
    return node.value


def _name(node: Node, text: str) -> str:
    """Return a class name as it is written in the file; YAML would read `on` as true and `007` as 7."""
    name = node.value if isinstance(node.value, str) else text[slice(*node.span)]
    if isinstance(node.value, list | dict) or not name.strip() or not is_legible(name):
        raise node.error(
            f"a class name must be text, got {short_repr(node.plain())}", "write a word, in quotes if necessary"
        )
    return name.strip()
