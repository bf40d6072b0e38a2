"""Folders of label files: where the label file of each image is, found by looking at the names of files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.data.formats.yolo import label_path
from attendet.data.reading.split_names import split_of
from attendet.errors import DataError, Location

IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages", "photos", "pictures"})
"""Usual names of folders of images, in lower case."""

LABEL_FOLDERS = {
    ".txt": frozenset({"labels", "label", "txt", "txts", "annotations", "annotation"}),
    ".xml": frozenset({"annotations", "annotation", "xml", "xmls", "labels", "label"}),
    ".json": frozenset({"annotations", "annotation", "labels", "label"}),
}
"""Usual names of folders of label files, in lower case, by the suffix of the files."""

# Between the words of a name.
_SEPARATOR = re.compile(r"[^a-z]+")

# How many folders above the images a folder of labels may be, if they are not below the folder of the data set.
_MAX_PARENTS = 3


class FolderListing:
    """The names in folders; each folder is listed once.

    A folder that does not exist or cannot be read is an empty one.
    """

    def __init__(self) -> None:
        self._names: dict[str, tuple[dict[str, str], list[str]]] = {}
        self._spellings: dict[str, dict[str, list[str]]] = {}
        self._with_word: dict[tuple[str, frozenset[str]], list[str]] = {}

    def files(self, folder: str) -> dict[str, str]:
        """Return the names of the visible files in a folder, by the name with a suffix in lower case."""
        return self._list(folder)[0]

    def folders(self, folder: str) -> list[str]:
        """Return the names of the visible folders in a folder, in alphabetical order."""
        return self._list(folder)[1]

    def named(self, folder: str, names: frozenset[str]) -> list[str]:
        """Return the names of the visible folders in a folder that have one of some names, in any case."""
        if folder not in self._spellings:
            spellings: dict[str, list[str]] = {}
            for name in self.folders(folder):
                spellings.setdefault(name.lower(), []).append(name)
            self._spellings[folder] = spellings
        return sorted(spelling for name in names for spelling in self._spellings[folder].get(name, ()))

    def with_word(self, folder: str, words: frozenset[str]) -> list[str]:
        """Return the names of the visible folders in a folder that have one of some words, such as `labels_yolo`."""
        if (folder, words) not in self._with_word:
            names = self.folders(folder)
            self._with_word[folder, words] = [name for name in names if words & set(_SEPARATOR.split(name.lower()))]
        return self._with_word[folder, words]

    def with_suffix(self, folder: str, suffix: str) -> list[str]:
        """Return the paths of the files in a folder that have a suffix, in any case and in alphabetical order."""
        return [f"{folder}/{name}" for key, name in sorted(self.files(folder).items()) if key.endswith(suffix)]

    def _list(self, folder: str) -> tuple[dict[str, str], list[str]]:
        if folder not in self._names:
            files, folders = {}, []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        if entry.is_dir():
                            folders.append(entry.name)
                        else:
                            stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - 100,000 times
                            # Of `a.txt` and `a.TXT`, the usual spelling counts.
                            if suffix.islower() or stem + suffix.lower() not in files:
                                files[stem + suffix.lower()] = entry.name
            except (OSError, ValueError):
                files, folders = {}, []
            self._names[folder] = files, sorted(folders)
        return self._names[folder]


@dataclass(frozen=True)
class LabelFiles:
    """The label files of images.

    Attributes:
        paths: Path of the label file of each image, in the order of the images; for an image without one, the place
            where it was looked for.
        first: The first label file that exists; None without any.
        is_usual: Whether all of them are where YOLOv5 looks for them.
    """

    paths: list[str]
    first: str | None
    is_usual: bool


def find_label_files(images: Sequence[str], suffix: str, root: Path, listing: FolderListing) -> LabelFiles:
    """Find the label file of each image by its name.

    The label files of a folder of images are in one folder: for `.txt`, where YOLOv5 looks for them (`labels` instead
    of `images`), if any image has its label file there; otherwise in a folder with a usual name next to the images,
    next to one of the folders above, or in the folder of the images; otherwise in a folder there whose name has a usual
    word, such as `labels_yolo`.

    Args:
        images: Paths of the images.
        suffix: `.txt` or `.xml`.
        root: Folder of the data set.
        listing: Names in folders.

    Raises:
        DataError: If two folders have label files of the same images.
    """
    stems: dict[str, list[str]] = {}
    for image in images:
        folder, name = os.path.split(image)
        stems.setdefault(folder, []).append(os.path.splitext(name)[0])  # noqa: PTH122 - 100,000 times
    places = {folder: _label_folder(folder, names, suffix, root, listing) for folder, names in stems.items()}
    paths: list[str] = []
    first = None
    for image in images:
        folder, name = os.path.split(image)
        place = places[folder]
        key = os.path.splitext(name)[0] + suffix  # noqa: PTH122 - 100,000 times
        found = listing.files(place).get(key)
        paths.append(f"{place}/{found or key}")
        if first is None and found is not None:
            first = paths[-1]
    is_usual = suffix == ".txt" and all(place == _usual_folder(folder) for folder, place in places.items())
    return LabelFiles(paths, first, is_usual)


def _label_folder(folder: str, stems: Sequence[str], suffix: str, root: Path, listing: FolderListing) -> str:
    usual = _usual_folder(folder)
    if suffix == ".txt" and _has_any(usual, stems, suffix, listing):
        return usual
    candidates = _existing(_usual_places(folder, suffix, root, listing), listing)
    found = [place for place in candidates if _has_any(place, stems, suffix, listing)]
    if not found:
        others = _existing(_places_with_word(folder, suffix, root, listing), listing)
        found = [place for place in others if _has_any(place, stems, suffix, listing)]
    if len(found) > 1:
        raise DataError(
            f"the images must have one folder of {suffix} labels, but {found[0]} and {found[1]} have files of the same"
            " names",
            where=Location(folder),
            remedy="rename or move one of the two folders",
        )
    if found:
        return found[0]
    # Nothing is there: messages name the most likely place.
    return usual if suffix == ".txt" else next((place for place in candidates if place != folder), folder)


def _usual_folder(folder: str) -> str:
    return os.path.dirname(label_path(f"{folder}/image.jpg"))  # noqa: PTH120 - os.path.split gave the folder


def _has_any(place: str, stems: Sequence[str], suffix: str, listing: FolderListing) -> bool:
    files = listing.files(place)
    return bool(files) and any(stem + suffix in files for stem in stems)


def _existing(places: Iterable[str], listing: FolderListing) -> list[str]:
    """Return the folders that exist and have files."""
    existing: dict[str, str] = {}
    for place in places:
        if listing.files(place):
            # On a file system that ignores case, two spellings are one folder.
            existing.setdefault(os.path.realpath(place), place)
    return list(existing.values())


def _usual_places(folder: str, suffix: str, root: Path, listing: FolderListing) -> Iterator[str]:
    """Yield the folders that may have the labels of a folder of images by their usual names; the nearest come first."""
    yield folder
    usual = LABEL_FOLDERS[suffix]
    for parent in parents_within(folder, root):
        below = _parts_below(folder, parent)
        for name in listing.named(parent, usual):
            if name not in below[:1]:
                yield from _with_subfolders(f"{parent}/{name}", below)
                # annotations/xmls, as in data sets with files of several kinds.
                for inner in listing.named(f"{parent}/{name}", usual):
                    yield from _with_subfolders(f"{parent}/{name}/{inner}", below)
        for name in listing.named(parent, _counterparts(below[0], suffix)) if below else ():
            yield "/".join([parent, name, *below[1:]])


def _places_with_word(folder: str, suffix: str, root: Path, listing: FolderListing) -> Iterator[str]:
    """Yield the folders whose names have a word for labels, and no other split than the folder of images."""
    for parent in parents_within(folder, root):
        below = _parts_below(folder, parent)
        splits = {split for part in below if (split := split_of(part))}
        for name in listing.with_word(parent, LABEL_FOLDERS[suffix]):
            if name not in below[:1] and (not splits or split_of(name) in (None, *splits)):
                yield from _with_subfolders(f"{parent}/{name}", below)


def _parts_below(folder: str, parent: str) -> list[str]:
    return [part for part in os.path.relpath(folder, parent).split("/") if part != "."]


def _with_subfolders(place: str, below: Sequence[str]) -> Iterator[str]:
    """Yield the places that correspond to folders of images below the parent of a folder of labels.

    In `labels`, these are `labels/train` for `train`, `images/train`, and `train/images`; and `labels` itself.
    """
    splits = [part for part in below if not is_named(part, IMAGE_FOLDERS)]
    yield from dict.fromkeys("/".join([place, *rest]) for rest in (below, below[1:], splits, ()))


def parents_within(folder: str, root: Path) -> list[str]:
    """Return a folder and the folders above it, up to the folder of the data set or by three levels."""
    levels = [folder, *map(str, Path(folder).parents)]
    top = str(root)
    return levels[: levels.index(top) + 1] if top in levels else levels[: _MAX_PARENTS + 1]


def is_named(name: str, names: frozenset[str]) -> bool:
    """Return whether a folder has one of some usual names, in any case."""
    return name.lower() in names


def _counterparts(images: str, suffix: str) -> frozenset[str]:
    """Return the names of a folder with a word for labels in place of the word for images.

    `train_images` gives `train_labels` and `train_annotations`, among others. `images` alone gives nothing: its
    counterparts are the usual names.
    """
    lower = images.lower()
    words = [word for word in IMAGE_FOLDERS if word in lower and word != lower]
    return frozenset(lower.replace(word, label) for word in words for label in LABEL_FOLDERS[suffix])
