"""COCO files and files of CVAT in a data set: which of them has the labels of a folder of images."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from attendet.data.formats.cvat import is_cvat_file
from attendet.data.paths import is_file, is_folder
from attendet.data.reading.data_file import SplitEntry
from attendet.data.reading.label_folders import (
    LABEL_FOLDERS,
    FolderListing,
    parents_within,
)
from attendet.data.reading.split_names import split_of
from attendet.errors import DataError, Location

_MAX_LISTED = 3

_COCO_KEYS = (b'"annotations"', b'"categories"')


@dataclass(frozen=True)
class CocoChoice:
    """The COCO file with the labels of a folder of images.

    Attributes:
        file: Path of the JSON file.
        is_shared: Whether the file may have labels of other folders, too, because it is not named after the split or
            the folder.
    """

    file: str
    is_shared: bool


def is_coco_file(path: str) -> bool:
    """Return whether a JSON file has COCO's keys `images` and `annotations` or `categories`, without parsing it."""
    if not is_file(path):
        return False
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # noqa: PTH123
            return content.find(b'"images"') >= 0 and any(content.find(key) >= 0 for key in _COCO_KEYS)
    except (OSError, ValueError):
        # An empty file cannot be mapped.
        return False


TableFormat: TypeAlias = Literal["coco", "cvat"]
"""A format with one file for all images of a split."""

_FILES: Mapping[TableFormat, tuple[str, Callable[[str], bool]]] = {
    "coco": (".json", is_coco_file),
    "cvat": (".xml", is_cvat_file),
}


def find_coco_file(
    folder: str,
    split: str,
    root: Path,
    listing: FolderListing,
    format: TableFormat = "coco",  # noqa: A002
) -> CocoChoice | None:
    """Return the COCO file, or the file of CVAT, with the labels of a folder of images, or None.

    It is the only one in the folder, or is named after the split or the folder, in a folder above or in a folder
    `annotations` there; otherwise the only one that is named after no split.

    Args:
        folder: A folder of images, or of COCO files.
        split: Name of the split.
        root: Folder of the data set.
        listing: Names in folders.
        format: `coco` or `cvat`.

    Raises:
        DataError: If several files could be meant.
    """
    suffix, is_meant = _FILES[format]
    shared = None
    name = os.path.basename(folder)  # noqa: PTH119 - a text, as all paths here
    for place in _coco_places(folder, root, listing):
        files = [file for file in listing.with_suffix(place, suffix) if is_meant(file)]
        named = [file for file in files if is_named_after(file, split, str(root), name)]
        if place == folder and len(files) == 1:
            named = files
        instances = [file for file in named if os.path.basename(file).startswith("instances")]  # noqa: PTH119
        if named:
            return CocoChoice(_only(instances or named, folder), is_shared=False)
        others = [file for file in files if split_of(Path(file).stem) is None]
        if others and shared is None:
            shared = CocoChoice(_only(others, folder), is_shared=True)
    return shared


def is_named_after(file: str, split: str, root: str = "", folder: str = "") -> bool:
    """Return whether a COCO file belongs to a split: `train.json`, `instances_train2017.json`, `train/....json`.

    Args:
        file: Path of the JSON file.
        split: Name of the split.
        root: Folder of the data set, whose name does not count.
        folder: Name of the folder of the images, which the file may be named after.

    Example:
        >>> is_named_after("annotations/instances_train2017.json", "train")
        True
        >>> is_named_after("annotations/birds.json", "val", folder="birds")
        True
    """
    path = Path(file)
    of_file = split_of(path.stem)
    of_folder = split_of(folder)
    if folder and (path.stem == folder or path.stem.endswith(f"_{folder}")):
        return True
    # A folder `val` as the split `test` has the file of the folder.
    return (of_file or (None if str(path.parent) == root else split_of(path.parent.name))) == (of_folder or split)


def _coco_places(folder: str, root: Path, listing: FolderListing) -> Iterator[str]:
    """Yield the folders that may have the COCO file of a folder of images, the nearest first."""
    for parent in parents_within(folder, root):
        yield parent
        for name in listing.named(parent, LABEL_FOLDERS[".json"]):
            yield f"{parent}/{name}"
            yield from (f"{parent}/{name}/{split}" for split in listing.folders(f"{parent}/{name}") if split_of(split))


def _only(files: Sequence[str], folder: str) -> str:
    if len(files) > 1:
        listed = ", ".join(os.path.basename(file) for file in files[:_MAX_LISTED])  # noqa: PTH119
        raise DataError(
            f"the images must have one COCO file, but {len(files)} could be meant: {listed}",
            where=Location(folder),
            remedy="name the JSON file in data.yaml: `train: file.json`",
        )
    return files[0]


def choose_coco_file(
    entry: SplitEntry,
    split: str,
    root: Path,
    listing: FolderListing,
    format: TableFormat,  # noqa: A002
) -> CocoChoice:
    """Return the COCO file that an entry of a split names; for the arguments, see `read_coco_entry`.

    Raises:
        DataError: If a folder has no such file, or several could be meant.
    """
    if not is_folder(entry.path):
        return CocoChoice(entry.path, is_shared=False)
    choice = find_coco_file(entry.path, split, root, listing, format)
    if choice is None:
        suffix = _FILES[format][0]
        raise DataError(
            f"no {format} file found for {entry.path}, neither in the folder, above it, nor in a folder `annotations`",
            where=entry.where,
            remedy=f"name the {suffix} file instead of the folder",
        )
    return choice
