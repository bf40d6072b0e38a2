"""Writers of the images and labels of a data set in the folders of each format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from attendet.data.formats.serialization import coco_text, voc_text, yolo_text
from attendet.data.images import is_image
from attendet.data.records import Split
from attendet.errors import DataError, Location

FileTransfer: TypeAlias = Literal["auto", "link", "copy"]
"""How images get into a new data set: by hard links, by copies, or by links if the file system can."""

FileNames: TypeAlias = list[list[str]]
"""New file name of each image in each split."""


class ImageTransfer:
    """A transfer of images to a new data set, by links or copies, which counts them.

    Args:
        files: `link` creates hard links, `copy` copies, and `auto` links if the file system can.
        total: Number of all images.
        progress: Called with the number of images done and the number of all images.

    Attributes:
        done: Number of images done.
        copied: Number of images that were copied.
    """

    def __init__(self, files: FileTransfer, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._files, self._total, self._progress = files, total, progress
        self.done = 0
        self.copied = 0

    def add(self, source: Path, target: Path) -> None:
        """Link or copy one image.

        Raises:
            DataError: If the image does not exist any more.
            OSError: If it cannot be linked or copied.
        """
        if not source.is_file():
            raise DataError("the image was removed after it was read", where=Location(str(source)))
        if self._files == "copy" or not self._link(source, target):
            shutil.copyfile(source, target)
            self.copied += 1
        self.done += 1
        if self._progress:
            self._progress(self.done, self._total)

    def _link(self, source: Path, target: Path) -> bool:
        try:
            # A hard link to a relative symbolic link would point elsewhere from its new folder.
            target.hardlink_to(source.resolve())
        except OSError:
            if self._files == "link":
                raise
            return False
        return True


def write_yolo(folder: Path, splits: Sequence[Split], file_names: FileNames, transfer: ImageTransfer) -> dict[str, str]:
    """Write splits in YOLO's format: images to `images/SPLIT`, label files to `labels/SPLIT`.

    Args:
        folder: An existing, empty folder.
        splits: Splits of the same classes.
        file_names: New file names of the images.
        transfer: Links or copies the images.

    Returns:
        The path of each split for data.yaml, relative to the folder.
    """
    for split, names in zip(splits, file_names, strict=True):
        images, labels = folder / "images" / split.name, folder / "labels" / split.name
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for record, name in zip(split.records, names, strict=True):
            transfer.add(record.image, images / name)
            (labels / Path(name).with_suffix(".txt")).write_text(yolo_text(record), encoding="utf-8")
    return {split.name: f"images/{split.name}" for split in splits}


def write_coco(folder: Path, splits: Sequence[Split], file_names: FileNames, transfer: ImageTransfer) -> dict[str, str]:
    """Write splits in COCO's format: images to `images/SPLIT`, labels to `annotations/SPLIT.json`.

    Arguments and result are the same as for `write_yolo`.
    """
    (folder / "annotations").mkdir()
    for split, names in zip(splits, file_names, strict=True):
        images = folder / "images" / split.name
        images.mkdir(parents=True)
        for record, name in zip(split.records, names, strict=True):
            transfer.add(record.image, images / name)
        with (folder / "annotations" / f"{split.name}.json").open("w", encoding="utf-8") as file:
            file.writelines(coco_text(split.names, split.records, names))
    return {split.name: f"annotations/{split.name}.json" for split in splits}


def write_voc(folder: Path, splits: Sequence[Split], file_names: FileNames, transfer: ImageTransfer) -> dict[str, str]:
    """Write splits in VOC's format: folders `JPEGImages` and `Annotations`, and lists in `ImageSets/Main`.

    Arguments and result are the same as for `write_yolo`.
    """
    images, annotations, lists = folder / "JPEGImages", folder / "Annotations", folder / "ImageSets" / "Main"
    for subfolder in (images, annotations, lists):
        subfolder.mkdir(parents=True)
    for split, names in zip(splits, file_names, strict=True):
        for record, name in zip(split.records, names, strict=True):
            transfer.add(record.image, images / name)
            xml = voc_text(split.names, record, name)
            (annotations / Path(name).with_suffix(".xml")).write_text(xml, encoding="utf-8")
        lines = "".join(f"{_list_entry(name)}\n" for name in names)
        (lists / f"{split.name}.txt").write_text(lines, encoding="utf-8")
    return {split.name: f"ImageSets/Main/{split.name}.txt" for split in splits}


def _list_entry(name: str) -> str:
    """Return the entry of an image in a VOC list: its file stem, or its name if the stem would be misread."""
    stem = Path(name).stem
    # In a list for a single class, `photo 1` means the image `photo` with the flag 1.
    return name if is_image(stem) or stem.endswith((" 0", " 1", " -1", " ")) else stem
