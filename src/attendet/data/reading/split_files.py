"""The files of a split: which images it has, and where their labels are, in each format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from attendet.data.formats.coco import CocoFile
from attendet.data.formats.image_files import join_image_files, resolve_images
from attendet.data.formats.labels import ImageLabels
from attendet.data.reading.coco_files import TableFormat
from attendet.data.reading.coco_images import CocoImages, read_coco_entry
from attendet.data.reading.data_file import SplitEntry
from attendet.data.reading.label_folders import FolderListing, find_label_files
from attendet.data.reading.passed_over import file_problems, foreign_prefix
from attendet.data.reading.voc_files import find_voc_files
from attendet.data.records import Problem, ProblemKind
from attendet.errors import Location
from attendet.utils.text import short_repr


@dataclass(frozen=True)
class SplitFiles:
    """The images of a split and their labels.

    Attributes:
        images: Paths of the images.
        labels: Path of the label file of each image; or the labels themselves, if one file has the
            labels of all images.
        place: The first label file or COCO file; or the place where the first was looked for.
        problems: Problems of the files that describe the split.
        image_ids: Id of each image in COCO files (default: other formats, or two images have one id).
        categories: Id of each category in COCO files, by its name.
    """

    images: Sequence[str]
    labels: Sequence[str] | Iterator[ImageLabels]
    place: str
    problems: Sequence[Problem] = ()
    image_ids: Sequence[int | str] | None = None
    categories: Mapping[str, int | str] = field(default_factory=dict)


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
        return files if format == "coco" else replace(files, image_ids=None)
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
    problems = [problem for coco in files for problem in coco.problems]
    problems += [foreign_prefix(each.prefix, each.coco.file) for each in found if each.prefix]
    image_ids = list(chain.from_iterable(coco.image_ids for coco in files))
    has_unique_ids = len(set(image_ids)) == len(image_ids)
    categories, conflicts = _categories(files)
    if not has_unique_ids:
        twice = next(image_id for image_id, times in Counter(image_ids).items() if times > 1)
        conflicts = [_conflict(files, f"the image id {short_repr(twice)} is there twice; ids in results count from 1")]
    return SplitFiles(
        [path for each in found for path in each.paths],
        chain.from_iterable(coco.labels() for coco in files),
        files[0].file,
        [*problems, *conflicts],
        image_ids if has_unique_ids else None,
        categories,
    )


def _categories(files: Sequence[CocoFile]) -> tuple[dict[str, int | str], list[Problem]]:
    """Return the category ids by name, and a problem if the files disagree about them."""
    categories: dict[str, int | str] = {}
    different = None
    for coco in files:
        # The first of several categories of one name is the class.
        of_file = {name: category for category, name in reversed(list(coco.categories.items()))}
        for name, category in of_file.items():
            if categories.setdefault(name, category) != category:
                different = different or name
    if len(set(categories.values())) < len(categories):
        return {}, [_conflict(files, "two categories have one id; category ids in results count from 1")]
    if different is None:
        return categories, []
    detail = f"the category {short_repr(different)} has two ids; results have {short_repr(categories[different])}"
    return categories, [_conflict(files, detail)]


def _conflict(files: Sequence[CocoFile], detail: str) -> Problem:
    return Problem(ProblemKind.CONFLICTING_IDS, Location(files[-1].file), detail)
