"""The files of a split: which images it has, and where their labels are, in each format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from attendet.data.coco_ids import CocoIds
from attendet.data.formats.coco import CocoFile
from attendet.data.formats.image_files import join_image_files, resolve_images
from attendet.data.formats.labels import ImageLabels
from attendet.data.reading.coco_files import TableFormat
from attendet.data.reading.coco_images import CocoImages, read_coco_entry
from attendet.data.reading.data_file import SplitEntry
from attendet.data.reading.label_folders import FolderListing, find_label_files
from attendet.data.reading.passed_over import file_problems, foreign_prefix
from attendet.data.reading.voc_files import find_voc_files
from attendet.data.records import Problem


@dataclass(frozen=True)
class SplitFiles:
    """The images of a split and their labels.

    Attributes:
        images: Paths of the images.
        labels: Path of the label file of each image; or the labels themselves, if one file has the
            labels of all images.
        place: The first label file or COCO file; or the place where the first was looked for.
        problems: Problems of the files that describe the split.
        coco_ids: Ids of images and categories in COCO files (default: in other files, and where ids are not unique).
    """

    images: Sequence[str]
    labels: Sequence[str] | Iterator[ImageLabels]
    place: str
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
        format: `yolo`, `coco`, `voc`, or `cvat`.
        split: Name of the split.
        entries: What the split consists of.
        root: Folder of the data set.
        images: Folder of the images of a COCO file, if the data.yaml names it.

    Raises:
        DataError: If an entry does not exist or cannot be read.
    """
    listing = FolderListing()
    if format in ("coco", "cvat"):
        table: TableFormat = "coco" if format == "coco" else "cvat"
        found = [read_coco_entry(entry, split, root, images, listing, table) for entry in entries]
        files = _coco_split_files(found)
        return files if format == "coco" else replace(files, coco_ids=None)
    if format == "yolo":
        files = join_image_files([resolve_images(entry.path, str(root), entry.where) for entry in entries])
        labels = find_label_files(files.images, ".txt", root, listing).paths
    else:
        pairs = [find_voc_files(entry.path, split, entry.where, root, listing) for entry in entries]
        files = join_image_files([images for images, _ in pairs])
        labels = [xml for _, of_entry in pairs for xml in of_entry]
    problems = file_problems(files, ".txt" if format == "yolo" else ".xml", root, listing)
    place = next(filter(os.path.lexists, labels), (labels or [entries[0].path])[0])
    return SplitFiles(files.images, labels, place, problems)


def _coco_split_files(found: Sequence[CocoImages]) -> SplitFiles:
    files = [each.coco for each in found]
    paths = [path for each in found for path in each.paths]
    problems = [problem for coco in files for problem in coco.problems]
    problems += [foreign_prefix(each.prefix, each.coco.file) for each in found if each.prefix]
    labels = chain.from_iterable(coco.labels() for coco in files)
    return SplitFiles(paths, labels, files[0].file, problems, _coco_ids(files, paths))


def _coco_ids(files: Sequence[CocoFile], paths: Sequence[str]) -> CocoIds | None:
    """Return the ids of images and categories, unless two images have one id, or two entries one image file."""
    images = dict(zip(paths, chain.from_iterable(coco.image_ids for coco in files), strict=True))
    if not len(set(images.values())) == len(images) == len(paths):
        return None
    # The first of several categories of one name is the class.
    pairs = [(name, category) for coco in files for category, name in coco.categories.items()]
    return CocoIds(images, dict(reversed(pairs)))
