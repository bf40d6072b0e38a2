"""Data sets without a `data.yaml`: what a folder or file is, told by looking at it."""

from __future__ import annotations

from pathlib import Path

from attendet.data.formats import voc
from attendet.data.formats.yolo import lines_of
from attendet.data.images import is_image
from attendet.data.paths import exists
from attendet.data.reading.data_file import SPLITS, DataFile, Entry, is_data_file
from attendet.errors import DataError, Location

# How folders and files of a split are called.
_WORDS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def description_in(data: Path) -> Path:
    """Return the data file in a folder, or what was named where there is none.

    Raises:
        DataError: If nothing of this name is there.
    """
    if not exists(data):
        raise DataError("there is no such file or folder", where=Location(str(data)), remedy="name a data.yaml")
    if not data.is_dir():
        return data
    found = sorted(path for path in data.iterdir() if is_data_file(path))
    preferred = [path for path in found if path.stem == "data"]
    return next(iter(preferred or (found if len(found) == 1 else [])), data)


def describe(data: Path, format: str | None) -> DataFile:  # noqa: A002
    """Return what a folder or a COCO file has, as a data file would say it.

    Args:
        data: The folder or file.
        format: The only format to look for, or None for all.

    Raises:
        DataError: If it is no data set of that format.
    """
    if data.is_file():
        if data.suffix.lower() != ".json" or format not in (None, "coco"):
            raise DataError("it is no data file", where=Location(str(data)), remedy="name a data.yaml or a COCO json")
        return _described(data.parent, "coco", {"train": data})
    finders = {"voc": voc.splits_of, "yolo": _yolo_splits, "coco": _coco_splits}
    for name, find in finders.items():
        if format in (None, name) and (splits := find(data)):
            if "train" in splits:
                splits.pop("trainval", None)
            return _described(data, name, splits)
    kinds = "ImageSets (VOC), images and labels (YOLO) or one COCO json" if format is None else f"{format}'s files"
    raise DataError(f"there is no data.yaml and are no {kinds}", where=Location(str(data)), remedy="write a data.yaml")


def format_of(described: DataFile) -> str:
    """Return the format of what a data file names, by looking at the first thing that is there."""
    for entries in described.splits.values():
        for entry in entries:
            if exists(entry.path):
                return _format_of(Path(entry.path))
    return "yolo"


def names_beside(root: Path) -> tuple[str, ...]:
    """Return the class names that labeling tools leave in `classes.txt`, or none."""
    for file in (root / "classes.txt", root / "labels" / "classes.txt"):
        if file.is_file():
            return tuple(line for line in lines_of(str(file)) if line.isprintable())
    return ()


def _described(root: Path, format: str, splits: dict[str, Path]) -> DataFile:  # noqa: A002
    root = root.resolve()
    entries = {name: (Entry(str(path.resolve()), Location(str(path))),) for name, path in splits.items()}
    return DataFile(root, entries, None, format, None)


def _yolo_splits(folder: Path) -> dict[str, Path]:
    """Return the splits of a folder with labels: `images/train` or `train/images` or `train.txt`, or all images."""
    splits = {}
    for split in SPLITS:
        places = [place for word in _WORDS[split] for place in _places(folder, word)]
        found = next((place for place in places if place.exists()), None)
        if found is not None:
            splits[split] = found
    has_labels = (folder / "labels").is_dir() or any((path.parent / "labels").is_dir() for path in splits.values())
    if not splits and (folder / "images").is_dir():
        splits["train"] = folder / "images"
    return splits if has_labels else {}


def _places(folder: Path, word: str) -> tuple[Path, ...]:
    return folder / "images" / word, folder / word / "images", folder / f"{word}.txt"


def _coco_splits(folder: Path) -> dict[str, Path]:
    """Return the json files of a folder: one for each split by its name, or the only one for training."""
    files = sorted(
        [*folder.glob("*.json"), *folder.glob("annotations/*.json"), *folder.glob("*/_annotations.coco.json")]
    )
    splits = {}
    for split in SPLITS:
        named = [
            file
            for file in files
            if any(word in (file.parent.name, *file.stem.rstrip("0123456789").split("_")) for word in _WORDS[split])
        ]
        boxes = [file for file in named if file.stem.startswith("instances")] or named
        if boxes:
            splits[split] = boxes[0]
    return splits or ({"train": files[0]} if len(files) == 1 else {})


def _format_of(path: Path) -> str:
    if path.is_dir():
        if (path / "Annotations").is_dir() or next(path.glob("*.xml"), None):
            return "voc"
        return "coco" if (path / "_annotations.coco.json").is_file() else "yolo"
    if path.suffix.lower() == ".json":
        return "coco"
    if is_image(path.name) or voc.root_of(path) is None:
        return "yolo"
    return "yolo" if any(is_image(line) for line in lines_of(str(path))[:1]) else "voc"
