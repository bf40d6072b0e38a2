"""The images and annotation files of a split in Pascal VOC's format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from attendet.data.formats.image_files import ImageFiles, find_images, read_lines, resolve_images
from attendet.data.images import is_image
from attendet.data.paths import is_file, is_folder, walk
from attendet.data.reading.label_folders import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    FolderListing,
    find_label_files,
    is_named,
    parents_within,
)
from attendet.data.reading.split_names import split_of
from attendet.errors import DataError, Location

_XML = ".xml"


def find_annotations(folder: str, listing: FolderListing) -> str | None:
    """Return the folder of annotation files in a folder: `Annotations`, in any case, with .xml files; or None."""
    for name in listing.folders(folder):
        place = f"{folder}/{name}"
        if name == "Annotations" or (is_named(name, LABEL_FOLDERS[_XML]) and next(xml_files(place), None)):
            return place
    return None


def xml_files(folder: str) -> Iterator[str]:
    """Yield the paths of the .xml files in a folder and its subfolders, in alphabetical order."""
    for parent, files in walk(folder):
        yield from (f"{parent}/{name}" for name in files if name.lower().endswith(_XML))


def find_voc_root(path: str, listing: FolderListing) -> str | None:
    """Return the folder with `Annotations` that a folder or a list of images belongs to, or None.

    It is the folder itself, the folder of the list, or one of the three folders above.
    """
    folder = Path(path) if is_folder(path) else Path(path).parent
    parents = (str(parent) for parent in (folder, *list(folder.parents)[:3]))
    return next((parent for parent in parents if find_annotations(parent, listing)), None)


def find_voc_lists(root: str, listing: FolderListing) -> dict[str, str]:
    """Return the lists in `ImageSets/Main` of a VOC folder, by name: `train`, `val`, `test`, `trainval`, `default`."""
    for sets in listing.folders(root):
        if sets.lower() == "imagesets":
            for main in listing.folders(f"{root}/{sets}"):
                if main.lower() == "main":
                    lists = listing.with_suffix(f"{root}/{sets}/{main}", ".txt")
                    # Lists of a class are called cat_train.txt.
                    return {Path(path).stem: path for path in lists if "_" not in Path(path).stem}
    return {}


def list_of_split(lists: dict[str, str], split: str) -> str | None:
    """Return the list of a split; `trainval`, or a single list with the name of no split, is that of training.

    Example:
        >>> list_of_split({"Validation": "a.txt", "trainval": "b.txt"}, "val")
        'a.txt'
        >>> list_of_split({"default": "c.txt"}, "train")
        'c.txt'
    """
    named = [path for name, path in lists.items() if split_of(name) == split]
    if named or split != "train":
        return next(iter(named), None)
    return lists.get("trainval") or (next(iter(lists.values())) if list(map(split_of, lists)) == [None] else None)


def find_voc_files(
    entry: str, split: str, where: Location, root: Path, listing: FolderListing
) -> tuple[ImageFiles, list[str]]:
    """Find the images and the annotation files of a split.

    Args:
        entry: A list of file stems, a VOC folder, a folder of images or annotation files or both, or a glob pattern of
            images; or the name of a list in `ImageSets/Main`.
        split: Name of the split, which selects the list of a VOC folder.
        where: Location of the entry in its file, for messages.
        root: Folder of the data set.
        listing: Names in folders.

    Returns:
        The files of the images, and the path of the annotation file of each image.

    Raises:
        DataError: If a VOC folder has no list of the split, a list is not in a VOC folder, or it cannot be read.
    """
    entry = find_list(entry, listing) or entry
    lists = find_voc_lists(entry, listing)
    if lists:
        chosen = list_of_split(lists, split)
        if chosen is None:
            remedy = f"use one of {', '.join(lists)}"
            raise DataError(f"{Path(next(iter(lists.values()))).parent} has no {split}.txt", where=where, remedy=remedy)
        entry = chosen
    if is_folder(entry):
        return _files_of_folder(entry, root, listing)
    if is_file(entry) and not is_image(entry):
        return _files_of_list(entry, where, root, listing)
    found = resolve_images(entry, str(root), where)
    return found, find_label_files(found.images, _XML, root, listing).paths


def find_list(entry: str, listing: FolderListing) -> str | None:
    """Return the list in `ImageSets/Main` that an entry names by its stem, if nothing exists at its path.

    For `train: train` and `train: ImageSets/Main/train`, this is `ImageSets/Main/train.txt` in the folder of the data
    set.
    """
    if os.path.lexists(entry):
        return None
    path = Path(entry)
    lists = find_voc_lists(str(path.parent), listing)
    named = lists.get(path.stem if path.suffix.lower() == ".txt" else path.name)
    below = [each for parent in path.parents[2:3] for each in find_voc_lists(str(parent), listing).values()]
    return named or next((each for each in below if os.path.splitext(each)[0] == entry), None)  # noqa: PTH122


def _files_of_folder(entry: str, root: Path, listing: FolderListing) -> tuple[ImageFiles, list[str]]:
    """Return the images of a folder, and the annotation files without an image in it."""
    own = find_annotations(entry, listing)
    folders = [f"{entry}/{name}" for name in listing.named(entry, IMAGE_FOLDERS)]
    # The masks of VOC's segmentation have the names of the images.
    found = find_images(folders[0]) if own and len(folders) == 1 else find_images(entry)
    if not found.images and not folders:
        return _files_of_annotations(entry, found, root, listing)
    labels = find_label_files(found.images, _XML, root, listing).paths
    alone = sorted(set(xml_files(own or entry)) - set(labels))
    expected = [f"{folders[0] if folders else entry}/{_relative_stem(xml, own or entry)}.jpg" for xml in alone]
    return ImageFiles([*found.images, *expected], found.others, found.foreign), [*labels, *alone]


def _files_of_annotations(
    entry: str, found: ImageFiles, root: Path, listing: FolderListing
) -> tuple[ImageFiles, list[str]]:
    """Return the images of a folder that has annotation files only: they are in a folder of images near it."""
    labels = list(xml_files(entry))
    places = _image_places(entry, root, listing)
    images = _images_by_stem(places)
    stems = [_relative_stem(xml, entry) for xml in labels]
    # An image that does not exist is named where it was looked for.
    paths = [_image_of(stem, images) or f"{(places or [entry])[0]}/{stem}.jpg" for stem in stems]
    return ImageFiles(paths, found.others), labels


def _image_places(entry: str, root: Path, listing: FolderListing) -> list[str]:
    places = []
    for parent in parents_within(os.path.dirname(entry), root):  # noqa: PTH120 - a text, as all paths here
        below = [part for part in os.path.relpath(entry, parent).split("/") if part != "."]
        for name in listing.named(parent, IMAGE_FOLDERS):
            places += ["/".join([parent, name, *below[1:]]), f"{parent}/{name}"]
    return [place for place in dict.fromkeys(places) if is_folder(place)]


def _files_of_list(entry: str, where: Location, root: Path, listing: FolderListing) -> tuple[ImageFiles, list[str]]:
    lines = read_lines(entry)
    voc_root = find_voc_root(entry, listing)
    if voc_root is None and any(map(is_image, lines[:1])):
        found = resolve_images(entry, str(root), where)
        return found, find_label_files(found.images, _XML, root, listing).paths
    annotations = voc_root and find_annotations(voc_root, listing)
    if voc_root is None or annotations is None:
        raise DataError(f"{entry} must be in a folder that has a folder Annotations", where=where)
    folders = [f"{voc_root}/{name}" for name in listing.named(voc_root, IMAGE_FOLDERS)]
    images = _images_by_stem([*folders, annotations] if folders else [annotations, voc_root])
    stems = [_stem(line) for line in lines]
    paths = [_image_of(stem, images) or f"{(folders or [voc_root])[0]}/{stem}.jpg" for stem in stems]
    files = _stems_of_xml(annotations)
    xml = [files.get(stem) or files.get(Path(stem).name) or f"{annotations}/{stem}{_XML}" for stem in stems]
    return ImageFiles(paths), xml


def _stem(line: str) -> str:
    """Return the file stem on a line of a list; lists of a single class have a flag (-1, 0, or 1) after the stem."""
    columns = line.rsplit(maxsplit=1)
    stem = columns[0] if len(columns) == 2 and columns[1] in ("-1", "0", "1") else line
    stem = stem.strip('"').replace("\\", "/")
    return os.path.splitext(stem)[0] if is_image(stem) else stem  # noqa: PTH122 - keeps folders


def _relative_stem(xml: str, folder: str) -> str:
    return os.path.splitext(os.path.relpath(xml, folder))[0]  # noqa: PTH122 - 100,000 times


def _image_of(stem: str, images: dict[str, str]) -> str | None:
    return images.get(stem) or images.get(stem.rsplit("/", 1)[-1])


def _images_by_stem(folders: Sequence[str]) -> dict[str, str]:
    """Return the images in folders by the stem of their path in the folder, and by their own stem."""
    paths: dict[str, str] = {}
    for folder in folders:
        for path in find_images(folder).images:
            paths.setdefault(_relative_stem(path, folder), path)
    return _unique_stems(paths) | paths


def _stems_of_xml(annotations: str) -> dict[str, str]:
    """Return the annotation files in a folder by the stem of their path in it, and by their own stem."""
    files = {_relative_stem(xml, annotations): xml for xml in xml_files(annotations)}
    return _unique_stems(files) | files


def _unique_stems(paths: dict[str, str]) -> dict[str, str]:
    """Return paths by their stem without folders; a stem that occurs in two folders names none."""
    counts = Counter(stem.rsplit("/", 1)[-1] for stem in paths)
    stems = ((stem.rsplit("/", 1)[-1], path) for stem, path in paths.items())
    return {stem: path for stem, path in stems if counts[stem] == 1}
