"""The data files of darknet and of exports for it: `obj.data` with lines like `train = data/train.txt`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from attendet.data.formats.image_files import read_lines, read_names
from attendet.data.paths import is_file, locate, read_head
from attendet.data.reading.data_file import DataFile, SplitEntry
from attendet.errors import DataError, Location

_SPLIT_KEYS = {"train": "train", "valid": "val", "val": "val", "test": "test"}
_MAX_BYTES = 64 * 1024
_LIST_LINE = re.compile(rb"^[ \t]*(train|valid|val|test)[ \t]*=", re.MULTILINE)


def is_darknet_file(path: Path) -> bool:
    """Return whether a file has the suffix `.data` and a line like `train = train.txt`."""
    return path.suffix.lower() == ".data" and _LIST_LINE.search(read_head(path, _MAX_BYTES)) is not None


def read_darknet_file(file: Path) -> DataFile:
    """Read a data file of darknet.

    Paths are relative to the folder of the file, the folder above, or the current folder. Folders at the beginning of a
    path that do not exist here are left out.

    Raises:
        DataError: If the file cannot be read, or names no list of images that exists.
    """
    where = Location(str(file))
    if is_file(file) and file.stat().st_size > _MAX_BYTES:
        raise DataError(f"the file is larger than {_MAX_BYTES:,} bytes", where=where)
    values: dict[str, str] = {}
    for line in read_lines(str(file)):
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            values[key.strip().lower()] = value.strip()
    folder = file.resolve().parent
    bases = (folder, folder.parent, Path.cwd())
    splits: dict[str, tuple[SplitEntry, ...]] = {}
    root = folder
    for key, split in _SPLIT_KEYS.items():
        if values.get(key) and (found := find_listed(values[key], bases)) is not None:
            base, path = found
            root = base if not splits else root
            splits[split] = (SplitEntry(path, where),)
    if not splits:
        raise DataError(
            "the file must name a list of images that exists, like `train = train.txt`",
            where=where,
            remedy="put train.txt next to the file",
        )
    names = None
    if values.get("names") and (found := find_listed(values["names"], bases)) is not None:
        names = read_names(found[1])
    return DataFile(root, splits, names or None, "yolo", None)


def find_listed(path: str, bases: tuple[Path, ...]) -> tuple[Path, str] | None:
    """Return the folder and the path of a file that a data file of darknet names, or None.

    Args:
        path: The path as written, possibly of another machine.
        bases: Folders that it may be relative to; a path of another machine is looked up in the first.
    """
    for base in bases:
        if (found := locate(path, [base])) is not None:
            return base, found
    parts = path.replace("\\", "/").split("/")
    for count in range(1, len(parts)):
        rest = os.path.join(*parts[count:])  # noqa: PTH118 - parts of a text
        if rest and (found := locate(rest, [bases[0]])) is not None and is_file(found):
            return bases[0], found
    return None
