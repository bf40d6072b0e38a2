"""Class names of a data set whose data.yaml does not state them."""

from __future__ import annotations

from pathlib import Path

from attendet.data.formats.coco import read_coco
from attendet.data.formats.cvat import read_cvat
from attendet.data.formats.image_files import read_names
from attendet.data.formats.labels import ImageLabels
from attendet.data.paths import is_folder
from attendet.data.reading.coco_files import choose_coco_file
from attendet.data.reading.data_file import DataFile
from attendet.data.reading.file_cache import cache_path, read_files
from attendet.data.reading.label_folders import FolderListing
from attendet.data.reading.voc_files import find_voc_files
from attendet.errors import DataError, Location

_NAMES_FILES = ("classes.txt", "_classes.txt", "obj.names", "_darknet.labels")
_NAMES_FOLDERS = ("", "labels", "data", "train", "images")


def find_class_names(data_file: DataFile, format: str) -> tuple[str, ...]:  # noqa: A002 - the name of the option
    """Find the class names of a data set in its label files, for a data.yaml without names.

    YOLO's label files have no names: they are read from `classes.txt` or `obj.names`. The names of a COCO file are in
    the order of the category ids, the names of CVAT as in its file, and names of VOC files in alphabetical order.

    Args:
        data_file: The data set.
        format: `yolo`, `coco`, `voc`, or `cvat`.

    Returns:
        The names; empty if the label files have no names.

    Raises:
        DataError: If a COCO file or a file of CVAT cannot be read, or two files with class names differ.
    """
    if format == "yolo":
        return _listed_names(data_file)
    entries = [(split, entry) for split, entries in data_file.splits.items() for entry in entries]
    listing = FolderListing()
    split, first = entries[0]
    if format == "coco":
        return read_coco(Path(choose_coco_file(first, split, data_file.root, listing, "coco").file)).names
    if format == "cvat":
        return read_cvat(Path(choose_coco_file(first, split, data_file.root, listing, "cvat").file)).names
    names: set[str] = set()
    for split, entry in entries:
        try:
            _, files = find_voc_files(entry.path, split, entry.where, data_file.root, listing)
        except DataError:
            # A split that cannot be read is an error when it is read, and no other split needs it.
            continue
        for labels in read_files(files, "voc", cache=cache_path(data_file.root)):
            if isinstance(labels, ImageLabels):
                names.update(map(str, labels.classes))
    return tuple(sorted(names))


def _listed_names(data_file: DataFile) -> tuple[str, ...]:
    """Return the class names in the files that labeling tools write; empty without such a file.

    Raises:
        DataError: If two files have different names.
    """
    entries = [Path(entry.path) for of_split in data_file.splits.values() for entry in of_split]
    folders = [data_file.root / folder for folder in _NAMES_FOLDERS]
    folders += [path if is_folder(path) else path.parent for path in entries]
    first: tuple[Path, tuple[str, ...]] | None = None
    for file in dict.fromkeys(folder / name for name in _NAMES_FILES for folder in folders):
        if not file.is_file():
            continue
        names = read_names(str(file))
        if first is None:
            first = (file, names)
        elif names != first[1]:
            raise DataError(
                f"class names must be the same in {first[0]} and {file}, but they differ",
                where=Location(str(data_file.root)),
                remedy="write `names: [cat, dog]` into a data.yaml",
            )
    return () if first is None else first[1]
