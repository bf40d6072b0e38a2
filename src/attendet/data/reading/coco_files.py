"""COCO files of a data set: which JSON file has the labels of a folder, and where the images of a COCO file are."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attendet.data.formats.coco import CocoFile, read_coco
from attendet.data.formats.image_files import find_images
from attendet.data.paths import is_file, is_folder, locate
from attendet.data.reading.label_folders import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    FolderListing,
    is_named,
    parents_within,
)
from attendet.data.reading.split_names import split_of
from attendet.errors import DataError, Location

# How many of the first images are looked for in each folder.
_TRIED_IMAGES = 20

_MAX_LISTED = 3

_COCO_KEYS = (b'"annotations"', b'"categories"')


@dataclass(frozen=True)
class CocoChoice:
    """The COCO file with the labels of a folder of images.

    Attributes:
        file: Path of the JSON file.
        is_shared: Whether the file may have labels of other folders, too, because it is not named after the split or
            the folder.
    """

    file: str
    is_shared: bool


def is_coco_file(path: str) -> bool:
    """Return whether a JSON file has COCO's keys `images` and `annotations` or `categories`, without parsing it."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # noqa: PTH123
            return content.find(b'"images"') >= 0 and any(content.find(key) >= 0 for key in _COCO_KEYS)
    except (OSError, ValueError):
        # An empty file cannot be mapped.
        return False


def find_coco_file(folder: str, split: str, root: Path, listing: FolderListing) -> CocoChoice | None:
    """Return the COCO file with the labels of a folder of images, or None.

    It is the only one in the folder, or is named after the split or the folder, in a folder above or in a folder
    `annotations` there; otherwise the only one that is named after no split.

    Args:
        folder: A folder of images, or of COCO files.
        split: Name of the split.
        root: Folder of the data set.
        listing: Names in folders.

    Raises:
        DataError: If several files could be meant.
    """
    shared = None
    name = os.path.basename(folder)  # noqa: PTH119 - a text, as all paths here
    for place in _coco_places(folder, root, listing):
        files = [file for file in listing.with_suffix(place, ".json") if is_coco_file(file)]
        named = [file for file in files if is_named_after(file, split, str(root), name)]
        if place == folder and len(files) == 1:
            named = files
        instances = [file for file in named if os.path.basename(file).startswith("instances")]  # noqa: PTH119
        if named:
            return CocoChoice(_only(instances or named, folder), is_shared=False)
        others = [file for file in files if split_of(Path(file).stem) is None]
        if others and shared is None:
            shared = CocoChoice(_only(others, folder), is_shared=True)
    return shared


def is_named_after(file: str, split: str, root: str = "", folder: str = "") -> bool:
    """Return whether a COCO file belongs to a split: `train.json`, `instances_train2017.json`, `train/....json`.

    Args:
        file: Path of the JSON file.
        split: Name of the split.
        root: Folder of the data set, whose name does not count.
        folder: Name of the folder of the images, which the file may be named after.

    Example:
        >>> is_named_after("annotations/instances_train2017.json", "train")
        True
        >>> is_named_after("annotations/birds.json", "val", folder="birds")
        True
    """
    path = Path(file)
    of_file = split_of(path.stem)
    of_folder = split_of(folder)
    if folder and (path.stem == folder or path.stem.endswith(f"_{folder}")):
        return True
    # A folder `val` as the split `test` has the file of the folder.
    return (of_file or (None if str(path.parent) == root else split_of(path.parent.name))) == (of_folder or split)


def _coco_places(folder: str, root: Path, listing: FolderListing) -> Iterator[str]:
    """Yield the folders that may have the COCO file of a folder of images, the nearest first."""
    for parent in parents_within(folder, root):
        yield parent
        for name in listing.folders(parent):
            if is_named(name, LABEL_FOLDERS[".json"]):
                yield f"{parent}/{name}"
                yield from (
                    f"{parent}/{name}/{split}" for split in listing.folders(f"{parent}/{name}") if split_of(split)
                )


def _only(files: Sequence[str], folder: str) -> str:
    if len(files) > 1:
        listed = ", ".join(os.path.basename(file) for file in files[:_MAX_LISTED])  # noqa: PTH119
        raise DataError(
            f"the images must have one COCO file, but {len(files)} could be meant: {listed}",
            where=Location(folder),
            remedy="name the JSON file in data.yaml: `train: file.json`",
        )
    return files[0]


@dataclass(frozen=True)
class CocoImages:
    """A COCO file of a split, and its images.

    Attributes:
        coco: The content of the file.
        paths: Path of each image.
        prefix: Beginning of the names of images that does not exist here, and was left out.
    """

    coco: CocoFile
    paths: Sequence[str]
    prefix: str = ""


def read_coco_entry(
    entry: str, split: str, root: Path, images: Path | None, where: Location, listing: FolderListing
) -> CocoImages:
    """Read the COCO file that an entry of a split names, and find its images.

    Args:
        entry: Path of a JSON file, of a folder with one, or of a folder of images.
        split: Name of the split.
        root: Folder of the data set.
        images: Folder of the images, if the data.yaml names it.
        where: Location of the entry in its file, for messages.
        listing: Names in folders.

    Raises:
        DataError: If there is no COCO file, it cannot be read, or no image is found.
    """
    choice = choose_coco_file(entry, split, root, where, listing)
    folder = entry if is_folder(entry) else ""
    found = find_coco_images(read_coco(Path(choice.file)), images, split, root, folder)
    inside = [index for index, path in enumerate(found.paths) if is_inside(path, entry) and is_file(path)]
    # A folder without images is a folder of COCO files.
    return _select(found, inside) if choice.is_shared and inside else found


def choose_coco_file(entry: str, split: str, root: Path, where: Location, listing: FolderListing) -> CocoChoice:
    """Return the COCO file that an entry of a split names; for the arguments, see `read_coco_entry`.

    Raises:
        DataError: If a folder has no COCO file, or several could be meant.
    """
    if not is_folder(entry):
        return CocoChoice(entry, is_shared=False)
    choice = find_coco_file(entry, split, root, listing)
    if choice is None:
        raise DataError(
            f"no COCO file found for {entry}, neither in the folder, above it, nor in a folder `annotations`",
            where=where,
            remedy="name the JSON file instead of the folder",
        )
    return choice


def _select(found: CocoImages, indices: Sequence[int]) -> CocoImages:
    coco = found.coco
    columns = (coco.images, coco.annotations, coco.image_ids)
    images, annotations, ids = ([column[index] for index in indices] for column in columns)
    chosen = replace(coco, images=images, annotations=annotations, image_ids=ids)
    return CocoImages(chosen, [found.paths[index] for index in indices], found.prefix)


def is_inside(path: str, folder: str) -> bool:
    """Return whether a path is below a folder."""
    return os.path.normpath(path).startswith(os.path.normpath(folder) + os.sep)


def find_coco_images(coco: CocoFile, images: Path | None, split: str, root: Path, entry: str = "") -> CocoImages:
    """Find the images of a COCO file.

    Names of images are relative to a folder near the COCO file. Folders at their beginning that do not exist here are
    left out, and images in subfolders that the file does not state are found by their names.

    Args:
        coco: The COCO file.
        images: The folder, if the data.yaml names it; otherwise it is searched for, near the COCO file and in `root`.
        split: Name of the split, which the folder may be named after.
        root: Folder of the data set.
        entry: The folder of images that the data.yaml names; empty if it names the file.

    Raises:
        DataError: If no image is found.
    """
    names = [name for name, _ in coco.images]
    if images is not None:
        return CocoImages(coco, [locate(name, [images]) or str(images / name) for name in names])
    folders = _image_folders(Path(coco.file), split, root, entry)
    folder, prefix = _folder_of(names[:_TRIED_IMAGES], folders)
    # Only without any image in its place: another folder may have another image of the same name.
    by_name = {} if folder else _images_by_name([entry] if entry else folders)
    paths: list[str] = []
    for name in names:
        rest = name.replace("\\", "/").removeprefix(prefix)
        found = (locate(name, [folder]) or locate(rest, [folder])) if folder else by_name.get(Path(rest).name)
        paths.append(found or f"{folder or folders[0]}/{rest}")
    if names and not any(map(is_file, paths)):
        raise DataError(
            f"{names[0]} not found, neither next to the file nor in a folder `images`",
            where=Location(coco.file),
            remedy="name the folder of the images in data.yaml: `images: folder`",
        )
    return CocoImages(coco, paths, prefix)


def _image_folders(file: Path, split: str, root: Path, entry: str) -> list[str]:
    """Return the folders that names of images may be relative to, the most likely first."""
    # The images of instances_train2017.json are in a folder train2017.
    suffix = file.stem.rsplit("_", maxsplit=1)[-1]
    listing = FolderListing()
    parents = [*filter(None, [entry and os.path.dirname(entry)]), str(file.parent), str(file.parent.parent), str(root)]  # noqa: PTH120
    folders = [entry] if entry else []
    for parent in dict.fromkeys(parents):
        named = [name for name in listing.folders(parent) if is_named(name, IMAGE_FOLDERS)]
        folders += [parent, *(f"{parent}/{name}" for name in named)]
        folders += [f"{parent}/{name}/{part}" for name in named for part in (split, suffix)]
        folders += [f"{parent}/{part}" for part in (split, suffix)]
        folders += [f"{parent}/{name}" for name in listing.folders(parent) if split_of(name) == split]
    return [folder for folder in dict.fromkeys(folders) if is_folder(folder)]


def _folder_of(names: Sequence[str], folders: Sequence[str]) -> tuple[str | None, str]:
    """Return the folder in which one of some images is, and the beginning of names that does not exist there."""
    for name in names:
        if os.path.isabs(name) and is_file(name):  # noqa: PTH117 - pathlib raises for names that are too long
            return "/", ""
    spelled = [name.replace("\\", "/") for name in names]
    for count in range(max((name.count("/") for name in spelled), default=0) + 1):
        for folder in folders:
            for name, spelling in zip(names, spelled, strict=True):
                parts = spelling.split("/")
                rest = "/".join(parts[count:])
                found = locate(name, [folder]) if count == 0 else rest and locate(rest, [folder])
                if found and is_file(found):
                    return folder, "/".join([*parts[:count], ""])
    return None, ""


def _images_by_name(folders: Sequence[str]) -> dict[str, str]:
    """Return the images in folders and their subfolders by name; a name that occurs twice names none."""
    paths: dict[str, str] = {}
    repeated: set[str] = set()
    for path in dict.fromkeys(path for folder in folders for path in find_images(folder).images):
        name = Path(path).name
        if paths.setdefault(name, path) != path:
            repeated.add(name)
    return {name: path for name, path in paths.items() if name not in repeated}
