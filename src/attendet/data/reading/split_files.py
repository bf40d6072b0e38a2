"""The files of a split: which images it has, and where their labels are, in each format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from attendet.data.coco_ids import CocoIds
from attendet.data.formats.coco import CocoFile, find_coco_file, find_image_folder, read_coco
from attendet.data.formats.labels import ImageLabels
from attendet.data.formats.voc import find_voc_files
from attendet.data.formats.yolo import label_path, resolve_images
from attendet.data.reading.data_file import DataFile, SplitEntry
from attendet.data.reading.file_cache import cache_path, read_files
from attendet.data.reading.layout import read_class_names
from attendet.data.records import Problem
from attendet.errors import DataError


@dataclass(frozen=True)
class SplitFiles:
    """The images of a split and their labels.

    Attributes:
        images: Paths of the images.
        labels: Path of the label file of each image; or the labels themselves, if one file has the
            labels of all images.
        problems: Problems of the files that describe the split.
        coco_ids: Ids of images and categories in COCO files (default: in other files, and where ids are not unique).
    """

    images: Sequence[str]
    labels: Sequence[str] | Iterator[ImageLabels]
    problems: Sequence[Problem] = ()
    coco_ids: CocoIds | None = None


def find_split_files(
    format: str,  # noqa: A002 - the name of the option
    split: str,
    entries: Sequence[SplitEntry],
    root: Path,
    images: Path | None,
) -> SplitFiles:
    """Find the files of a split.

    Args:
        format: `yolo`, `coco`, or `voc`.
        split: Name of the split.
        entries: What the split consists of.
        root: Folder of the data set.
        images: Folder of the images of a COCO file, if the data.yaml names it.

    Raises:
        DataError: If an entry does not exist or cannot be read.
    """
    match format:
        case "yolo":
            paths = [image for entry in entries for image in resolve_images(entry.path, str(root), entry.where)]
            return SplitFiles(paths, [label_path(image) for image in paths])
        case "voc":
            pairs = [pair for entry in entries for pair in find_voc_files(Path(entry.path), split, entry.where)]
            return SplitFiles([image for image, _ in pairs], [xml for _, xml in pairs])
        case _:
            return _find_coco_files(split, entries, root, images)


def _find_coco_files(split: str, entries: Sequence[SplitEntry], root: Path, images: Path | None) -> SplitFiles:
    files = [read_coco(find_coco_file(Path(entry.path), entry.where)) for entry in entries]
    paths: list[str] = []
    for coco in files:
        folder = find_image_folder(coco, images, split, root)
        paths += [str(folder / name) for name, _ in coco.images]
    labels = chain.from_iterable(coco.labels() for coco in files)
    problems = [problem for coco in files for problem in coco.problems]
    return SplitFiles(paths, labels, problems, _coco_ids(files, paths))


def _coco_ids(files: Sequence[CocoFile], paths: Sequence[str]) -> CocoIds | None:
    """Return the ids of images and categories, unless two images have one id, or two entries one image file."""
    images = dict(zip(paths, chain.from_iterable(coco.image_ids for coco in files), strict=True))
    if not len(set(images.values())) == len(images) == len(paths):
        return None
    # The first of several categories of one name is the class.
    pairs = [(name, category) for coco in files for category, name in coco.categories.items()]
    return CocoIds(images, dict(reversed(pairs)))


def find_class_names(data_file: DataFile, format: str) -> tuple[str, ...]:  # noqa: A002 - the name of the option
    """Find the class names of a data set in its label files, for a data.yaml without names.

    YOLO's label files have no names: they are read from `classes.txt`. The names of a COCO file are in the order of the
    category ids, names of VOC files in alphabetical order.

    Args:
        data_file: The data set.
        format: `yolo`, `coco`, or `voc`.

    Returns:
        The names; empty if the label files have no names.

    Raises:
        DataError: If a COCO file cannot be read.
    """
    if format == "yolo":
        return read_class_names(data_file.root)
    entries = [(split, entry) for split, entries in data_file.splits.items() for entry in entries]
    if format == "coco":
        first = entries[0][1]
        return read_coco(find_coco_file(Path(first.path), first.where)).names
    names: set[str] = set()
    for split, entry in entries:
        try:
            files = [xml for _, xml in find_voc_files(Path(entry.path), split, entry.where)]
        except DataError:
            # A split that cannot be read is an error when it is read, and no other split needs it.
            continue
        for labels in read_files(files, "voc", cache=cache_path(data_file.root)):
            if isinstance(labels, ImageLabels):
                names.update(map(str, labels.classes))
    return tuple(sorted(names))
