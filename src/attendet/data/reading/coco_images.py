"""The images of a COCO file, or of a file of CVAT: which folder their names are relative to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attendet.data.formats.coco import CocoFile, read_coco
from attendet.data.formats.cvat import read_cvat
from attendet.data.formats.image_files import find_images
from attendet.data.paths import is_file, is_folder, locate
from attendet.data.reading.coco_files import TableFormat, choose_coco_file
from attendet.data.reading.data_file import SplitEntry
from attendet.data.reading.label_folders import IMAGE_FOLDERS, FolderListing
from attendet.data.reading.split_names import split_of
from attendet.errors import DataError, Location

# How many of the first images are looked for in each folder.
_TRIED_IMAGES = 20


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
    entry: SplitEntry,
    split: str,
    root: Path,
    images: Path | None,
    listing: FolderListing,
    format: TableFormat,  # noqa: A002
) -> CocoImages:
    """Read the COCO file, or the file of CVAT, that an entry of a split names, and find its images.

    Args:
        entry: Names the file, a folder with it, or a folder of images.
        split: Name of the split.
        root: Folder of the data set.
        images: Folder of the images, if the data.yaml names it.
        listing: Names in folders.
        format: `coco` or `cvat`.

    Raises:
        DataError: If the COCO file is missing or cannot be read, or no image is found.
    """
    choice = choose_coco_file(entry, split, root, listing, format)
    coco = read_cvat(Path(choice.file), split) if format == "cvat" else read_coco(Path(choice.file))
    found = find_coco_images(coco, images, split, root, entry.path if is_folder(entry.path) else "")
    inside = [index for index, path in enumerate(found.paths) if is_inside(path, entry.path) and is_file(path)]
    # A folder without images is a folder of COCO files.
    return _select(found, inside) if choice.is_shared and inside else found


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
    by_name = {} if folder else _images_by_name(entry or str(root))
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
        named = listing.named(parent, IMAGE_FOLDERS)
        folders += [parent, *(f"{parent}/{name}" for name in named)]
        for place in (*(f"{parent}/{name}" for name in named), parent):
            folders += [f"{place}/{part}" for part in (split, suffix)]
            folders += [f"{place}/{name}" for name in listing.folders(place) if split_of(name) == split]
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


def _images_by_name(folder: str) -> dict[str, str]:
    """Return the images in a folder and its subfolders by name; a name that occurs twice names none."""
    paths: dict[str, str] = {}
    repeated: set[str] = set()
    for path in find_images(folder).images:
        name = Path(path).name
        if paths.setdefault(name, path) != path:
            repeated.add(name)
    return {name: path for name, path in paths.items() if name not in repeated}
