"""The formats of labels that the entries of a split have, found by looking for label files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.data.formats.cvat import is_cvat_file
from attendet.data.formats.image_files import find_images, read_lines, resolve_images
from attendet.data.images import is_image
from attendet.data.paths import is_file, is_folder
from attendet.data.reading.coco_files import find_coco_file
from attendet.data.reading.data_file import SplitEntry
from attendet.data.reading.label_folders import FolderListing, find_label_files
from attendet.data.reading.voc_files import find_list, find_voc_lists, find_voc_root, xml_files
from attendet.errors import DataError


@dataclass(frozen=True)
class Evidence:
    """A file that shows the format of labels.

    Attributes:
        format: `yolo`, `coco`, `voc`, or `cvat`.
        file: Path of a label file, of a file of COCO or CVAT, or of a list in `ImageSets/Main`.
        is_usual: True for a label file where YOLOv5 looks for it.
    """

    format: str
    file: str
    is_usual: bool = False


def find_evidence(
    entry: SplitEntry, split: str, root: Path, listing: FolderListing, *, prefer_usual: bool
) -> Iterator[Evidence]:
    """Yield a file for each format of the labels of an entry; nothing for an entry that does not exist.

    Args:
        entry: An entry of a split.
        split: Name of the split.
        root: Folder of the data set.
        listing: Names in folders.
        prefer_usual: Whether to stop after labels where YOLOv5 looks for them: a data.yaml means these, regardless of
            other labels in the data set.

    Raises:
        DataError: If two folders have label files of the same images, or several COCO files could be meant.
    """
    path = entry.path
    if (voc_list := find_list(path, listing)) is not None:
        yield Evidence("voc", voc_list)
    elif is_folder(path):
        found = _evidence_of_folder(path, split, root, listing)
        yield from _until_usual(found) if prefer_usual else found
    elif path.lower().endswith(".json") and is_file(path):
        yield Evidence("coco", path)
    elif is_cvat_file(path):
        yield Evidence("cvat", path)
    elif is_file(path) and not is_image(path) and _is_voc_list(path, listing):
        yield Evidence("voc", path)
    else:
        try:
            images = resolve_images(path, str(root), entry.where).images
        except DataError:
            # It is an error when the split is read; another split may show the format.
            return
        found = _evidence_of_images(images, root, listing)
        yield from _until_usual(found) if prefer_usual else found


def _until_usual(found: Iterator[Evidence]) -> Iterator[Evidence]:
    for evidence in found:
        yield evidence
        if evidence.is_usual:
            return


def _evidence_of_folder(folder: str, split: str, root: Path, listing: FolderListing) -> Iterator[Evidence]:
    lists = find_voc_lists(folder, listing)
    if lists:
        yield Evidence("voc", next(iter(lists.values())))
        return
    images = find_images(folder).images
    if images:
        yield from _evidence_of_images(images, root, listing)
    elif (xml := next(xml_files(folder), None)) is not None and not is_cvat_file(xml):
        yield Evidence("voc", xml)
    if (coco := find_coco_file(folder, split, root, listing)) is not None:
        yield Evidence("coco", coco.file)
    if (cvat := find_coco_file(folder, split, root, listing, "cvat")) is not None:
        yield Evidence("cvat", cvat.file)


def _evidence_of_images(images: Sequence[str], root: Path, listing: FolderListing) -> Iterator[Evidence]:
    text_files = find_label_files(images, ".txt", root, listing)
    if text_files.first is not None:
        yield Evidence("yolo", text_files.first, text_files.is_usual)
    if (xml := find_label_files(images, ".xml", root, listing).first) is not None:
        yield Evidence("voc", xml)


def _is_voc_list(path: str, listing: FolderListing) -> bool:
    """Return whether a file lists file stems in a VOC folder; a list of paths of images is not VOC's."""
    return find_voc_root(path, listing) is not None and not any(map(is_image, read_lines(path)[:1]))
