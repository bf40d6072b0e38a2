"""Detection of the layout of a data set that has no data.yaml, from the names of its folders and files."""

from __future__ import annotations

from pathlib import Path

from attendet.data.formats.voc import find_voc_lists, find_voc_root
from attendet.data.formats.yolo import read_lines
from attendet.data.images import is_image
from attendet.data.paths import exists
from attendet.data.reading.data_file import SPLITS, DataFile, SplitEntry, is_data_file
from attendet.errors import DataError, Location

# How the folders and files of a split may be named.
_SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def find_data_file(data: Path) -> Path:
    """Return the data file in a folder: `data.yaml`, or the only YAML file.

    A folder without a data file, and any path to a file, is returned unchanged.

    Raises:
        DataError: If the path does not exist.
    """
    if not exists(data):
        raise DataError("file or folder not found", where=Location(str(data)), remedy="name a data.yaml or a folder")
    if not data.is_dir():
        return data
    data_files = sorted(path for path in data.iterdir() if is_data_file(path))
    preferred = [path for path in data_files if path.stem == "data"]
    return next(iter(preferred or (data_files if len(data_files) == 1 else [])), data)


def detect_layout(data: Path, format: str | None) -> DataFile:  # noqa: A002 - the name of the option
    """Return the splits that a folder or a COCO file has, as a data.yaml would describe them.

    Args:
        data: A folder, or a COCO file.
        format: The only format to look for (`yolo`, `coco`, or `voc`), or None for all.

    Raises:
        DataError: If the path is not a data set in this format.
    """
    if data.is_file():
        if data.suffix.lower() != ".json" or format not in (None, "coco"):
            remedy = "name a .yaml or .json file"
            raise DataError("the file is not a data.yaml or a COCO file", where=Location(str(data)), remedy=remedy)
        return _data_file(data.parent, "coco", {"train": data})
    finders = {"voc": find_voc_lists, "yolo": _yolo_splits, "coco": _coco_splits}
    for name, find in finders.items():
        if format in (None, name) and (splits := find(data)):
            if "train" in splits:
                splits.pop("trainval", None)
            return _data_file(data, name, splits)
    searched = "ImageSets (VOC), images and labels (YOLO), or a COCO file" if format is None else f"{format} files"
    raise DataError(f"no data.yaml found, and no {searched}", where=Location(str(data)), remedy="write a data.yaml")


def detect_format(data_file: DataFile) -> str:
    """Return the format (`yolo`, `coco`, or `voc`) of the first entry of a data file that exists."""
    for entries in data_file.splits.values():
        for entry in entries:
            if exists(entry.path):
                return _format_of(Path(entry.path))
    return "yolo"


def read_class_names(root: Path) -> tuple[str, ...]:
    """Return the class names in the `classes.txt` that labeling tools write; empty if the file does not exist."""
    for file in (root / "classes.txt", root / "labels" / "classes.txt"):
        if file.is_file():
            return tuple(line for line in read_lines(str(file)) if line.isprintable())
    return ()


def _data_file(root: Path, format: str, splits: dict[str, Path]) -> DataFile:  # noqa: A002 - the name of the option
    root = root.resolve()
    entries = {name: (SplitEntry(str(path.resolve()), Location(str(path))),) for name, path in splits.items()}
    return DataFile(root, entries, None, format, None)


def _yolo_splits(folder: Path) -> dict[str, Path]:
    """Return the splits of a folder that has labels, or an empty dict.

    A split is `images/train`, `train/images`, or `train.txt`. Without splits, all images are for training.
    """
    splits = {}
    for split in SPLITS:
        candidates = [path for name in _SPLIT_NAMES[split] for path in _split_paths(folder, name)]
        existing = next((path for path in candidates if path.exists()), None)
        if existing is not None:
            splits[split] = existing
    has_labels = (folder / "labels").is_dir() or any((path.parent / "labels").is_dir() for path in splits.values())
    if not splits and (folder / "images").is_dir():
        splits["train"] = folder / "images"
    return splits if has_labels else {}


def _split_paths(folder: Path, name: str) -> tuple[Path, ...]:
    return folder / "images" / name, folder / name / "images", folder / f"{name}.txt"


def _coco_splits(folder: Path) -> dict[str, Path]:
    """Return the COCO file of each split, by its name; a single file with another name is for training."""
    files = sorted(
        [*folder.glob("*.json"), *folder.glob("annotations/*.json"), *folder.glob("*/_annotations.coco.json")]
    )
    splits = {}
    for split in SPLITS:
        named = [file for file in files if _is_named_after(file, split)]
        instances = [file for file in named if file.stem.startswith("instances")] or named
        if instances:
            splits[split] = instances[0]
    return splits or ({"train": files[0]} if len(files) == 1 else {})


def _is_named_after(file: Path, split: str) -> bool:
    """Return whether a COCO file belongs to a split: `train.json`, `instances_train2017.json`, `train/....json`."""
    name_parts = (file.parent.name, *file.stem.rstrip("0123456789").split("_"))
    return any(name in name_parts for name in _SPLIT_NAMES[split])


def _format_of(path: Path) -> str:
    if path.is_dir():
        if (path / "Annotations").is_dir() or next(path.glob("*.xml"), None):
            return "voc"
        return "coco" if (path / "_annotations.coco.json").is_file() else "yolo"
    if path.suffix.lower() == ".json":
        return "coco"
    if is_image(path.name) or find_voc_root(path) is None:
        return "yolo"
    # A list of paths of images is YOLO's, a list of file stems is VOC's.
    return "yolo" if any(is_image(line) for line in read_lines(str(path))[:1]) else "voc"
