"""The data file in a folder, and the folder of a data set inside other folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from attendet.data.paths import exists, read_head
from attendet.data.reading.darknet import is_darknet_file
from attendet.data.reading.data_file import is_data_file
from attendet.data.reading.label_folders import IMAGE_FOLDERS, LABEL_FOLDERS, FolderListing, is_named
from attendet.data.reading.split_names import split_of
from attendet.errors import DataError, Location

# How many folders that have nothing else may be around a data set.
_MAX_WRAPPERS = 3

_HEAD = 64 * 1024
_SPLIT_LINE = re.compile(rb"^(train|val|test)[ \t]*:", re.MULTILINE)


def find_data_file(data: Path) -> Path:
    """Return the data file in a folder: `data.yaml`, the only YAML file, or the only data file of darknet.

    Of several YAML files, only files with a key `train`, `val`, or `test` count. A folder without a data file, and any
    path to a file, is returned unchanged.

    Raises:
        DataError: If the path does not exist, or if several files could be meant.
    """
    if not exists(data):
        raise DataError("file or folder not found", where=Location(str(data)), remedy="name a data.yaml or a folder")
    if not data.is_dir():
        return data
    files = sorted(path for path in data.iterdir() if not path.name.startswith("."))
    data_files = [path for path in files if is_data_file(path)]
    preferred = [path for path in data_files if path.stem == "data"]
    described = data_files if len(data_files) == 1 else list(filter(_names_splits, data_files))
    for candidates in (preferred, described, list(filter(is_darknet_file, files))):
        if candidates:
            return _only(candidates, data)
    return data


def unwrap(data: Path) -> Path:
    """Return the folder of the data set inside folders that have nothing else, as unpacked archives do.

    A folder with a data file, with several folders, or with files other than notes is returned unchanged.

    Raises:
        DataError: If a folder has several data files.
    """
    folder = data
    for _ in range(_MAX_WRAPPERS):
        listing = FolderListing()
        folders = [name for name in listing.folders(str(folder)) if name != "__MACOSX"]
        if len(folders) != 1 or _is_part(folders[0]) or find_data_file(folder) != folder:
            break
        if any(Path(name).suffix.lower() not in ("", ".md", ".txt") for name in listing.files(str(folder))):
            break
        folder = folder / folders[0]
    return folder


def _only(files: Sequence[Path], folder: Path) -> Path:
    if len(files) > 1:
        names = " and ".join(path.name for path in files[:2])
        raise DataError(
            f"the folder must have one data file, got {names}", where=Location(str(folder)), remedy="name one of them"
        )
    return files[0]


def _names_splits(file: Path) -> bool:
    return _SPLIT_LINE.search(read_head(file, _HEAD)) is not None


def _is_part(name: str) -> bool:
    """Return whether a folder is a part of a data set by its name."""
    names = frozenset[str]().union(IMAGE_FOLDERS, *LABEL_FOLDERS.values(), {"imagesets"})
    return is_named(name, names) or split_of(name) is not None
