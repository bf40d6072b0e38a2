"""The image files that an entry of a split names: folders, glob patterns, and lists of paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from attendet.data.images import is_image
from attendet.data.paths import expand_glob, is_file, is_folder, locate, walk
from attendet.errors import DataError, Location
from attendet.utils.text import is_legible, short_repr

MAX_LIST_BYTES = 256 * 1024 * 1024
"""Largest list of images: a few million paths."""

# After this many lines without a file, the list is broken; another machine is not the cause.
_MAX_PREFIX_SEARCHES = 100


@dataclass(frozen=True)
class ImageFiles:
    """The files of an entry.

    Attributes:
        images: Paths of the images.
        others: Paths of the other files in folders of images: hidden, or without a known ending of an image.
        foreign: Beginnings of paths that do not exist here and were left out, each with the list that has them.
    """

    images: Sequence[str]
    others: Sequence[str] = ()
    foreign: Sequence[tuple[str, str]] = ()


def find_images(folder: str) -> ImageFiles:
    """Return the images in a folder and its subfolders, in alphabetical order, without hidden files."""
    images, others = [], []
    for parent, files in walk(folder, hidden=True):
        for name in files:
            is_visible_image = is_image(name) and not name.startswith(".")
            (images if is_visible_image else others).append(os.path.join(parent, name))  # noqa: PTH118 - 100,000 times
    return ImageFiles(images, others)


def resolve_images(entry: str, root: str, where: Location) -> ImageFiles:
    """Return the files of the images that an entry of a split names.

    Args:
        entry: Absolute path of a folder, a list of images, or one image; or an absolute glob pattern.
        root: Folder of the data set, which paths in lists may be relative to.
        where: Location of the entry in its file, for messages.

    Raises:
        DataError: If nothing exists at the path, or a list cannot be read.
    """
    if is_folder(entry):
        return find_images(entry)
    if is_file(entry):
        return ImageFiles([entry]) if is_image(entry) else read_image_list(entry, root)
    if entry.endswith("/**"):
        # A folder already includes its subfolders.
        return resolve_images(entry.removesuffix("/**"), root, where)
    if glob.has_magic(entry):
        # Some data sets keep label files next to the images; only a pattern for .txt files means lists of images.
        named = [path for path in sorted(expand_glob(entry)) if _is_source(path) or entry.endswith(".txt")]
        found = [ImageFiles([path]) if is_image(path) else resolve_images(path, root, where) for path in named]
        return join_image_files(found, repeat=False)
    remedy = "name a folder, a glob pattern, or a list of images"
    raise DataError(f"file or folder not found: {entry}", where=where, remedy=remedy)


def join_image_files(found: Sequence[ImageFiles], *, repeat: bool = True) -> ImageFiles:
    """Return the files of several entries together.

    Args:
        found: The files of each entry.
        repeat: Whether an image that two entries name is there twice.
    """
    images = chain.from_iterable(each.images for each in found)
    return ImageFiles(
        list(images if repeat else dict.fromkeys(images)),
        list(dict.fromkeys(chain.from_iterable(each.others for each in found))),
        list(dict.fromkeys(chain.from_iterable(each.foreign for each in found))),
    )


def _is_source(path: str) -> bool:
    return is_image(path) or is_folder(path)


def read_image_list(file: str, root: str) -> ImageFiles:
    """Return the images that a text file lists, one per line.

    A path may be absolute, relative to the folder of the data set, or relative to the folder of the list. A path that
    starts with `./` is looked up in the folder of the list first, other paths in the folder of the data set. Lists of
    other machines start with folders that do not exist here (`data/obj_train_data/a.jpg`, `/home/me/set/a.jpg`): such a
    beginning is left out if the rest of the path exists.

    Args:
        file: Path of the list.
        root: Folder of the data set.

    Raises:
        DataError: If the list cannot be read, or two of its paths become the same file without their beginnings.
    """
    lines = read_lines(file)
    images: list[str] = []
    finder = _ForeignPaths(file, root)
    for number, line in enumerate(lines, start=1):
        folders = (Path(file).parent, root) if line.startswith(("./", ".\\")) else (root, Path(file).parent)
        found = locate(line, folders) or finder.find(line, number)
        # A file that does not exist is named with its most likely path.
        images.append(found or os.path.normpath(Path(folders[0]) / line.replace("\\", "/")))
    return ImageFiles(images, foreign=[(prefix, file) for prefix in finder.prefixes])


class _ForeignPaths:
    """A finder of files by paths of another machine.

    Args:
        file: Path of the list with the paths.
        root: Folder of the data set.

    Attributes:
        prefixes: Beginnings that were left out so far.
    """

    def __init__(self, file: str, root: str) -> None:
        self.prefixes: list[str] = []
        self._file = file
        self._folders = list(dict.fromkeys((os.path.normpath(root), os.path.normpath(Path(file).parent))))
        self._searches = 0
        self._lines: dict[str, int] = {}

    def find(self, line: str, number: int) -> str | None:
        """Return the file that a path names without the folders that do not exist here, or None.

        Args:
            line: The path.
            number: Line of the list, from 1.

        Raises:
            DataError: If an earlier line was found at the same place.
        """
        path = line.replace("\\", "/")
        prefix, found = self._known(path) or self._search(path) or ("", None)
        if found is None:
            return None
        first = self._lines.setdefault(found, number)
        if first != number:
            raise DataError(
                f"paths of the list must name different files, but lines {first} and {number} both become {found}",
                where=Location(self._file, number),
                remedy="write paths that exist on this machine",
            )
        if prefix not in self.prefixes:
            self.prefixes.append(prefix)
        return found

    def _known(self, path: str) -> tuple[str, str] | None:
        for prefix in self.prefixes:
            if path.startswith(prefix) and (found := locate(path.removeprefix(prefix), self._folders)):
                return prefix, found
        return None

    def _search(self, path: str) -> tuple[str, str] | None:
        if self._searches == _MAX_PREFIX_SEARCHES:
            return None
        self._searches += 1
        parts = path.split("/")
        for count in range(1, len(parts)):
            prefix, rest = "/".join(parts[:count]) + "/", "/".join(parts[count:])
            if rest and self._is_foreign(prefix) and (found := locate(rest, self._folders)) and is_file(found):
                return prefix, found
        return None

    def _is_foreign(self, prefix: str) -> bool:
        """Return whether the beginning of a path names no folder here; otherwise, the file was removed from it."""
        if prefix.startswith("/"):
            return not is_folder(prefix)
        first = next((part for part in prefix.split("/") if part not in ("", ".", "..")), None)
        return first is None or locate(first, self._folders) is None


def read_lines(file: str) -> list[str]:
    """Return the lines of a text file that are not blank, without surrounding white space.

    Raises:
        DataError: If the file cannot be read, is not UTF-8 text, or has more than 256 MiB.
    """
    where = Location(file)
    if not is_file(file):
        raise DataError("the list must be a regular file", where=where)
    try:
        if Path(file).stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"the file is larger than {MAX_LIST_BYTES:,} bytes", where=where)
        with Path(file).open(encoding="utf-8-sig") as lines:
            return [line.strip() for line in lines if line.strip()]
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=where) from error
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=where) from error


def read_names(file: str) -> tuple[str, ...]:
    """Return the class names in a text file with one name per line.

    Raises:
        DataError: If the file cannot be read, or a name has control characters.
    """
    names = tuple(read_lines(file))
    for name in names:
        if not is_legible(name):
            message = f"a class name must be a line of text without control characters, got {short_repr(name)}"
            raise DataError(message, where=Location(file))
    return names
