"""Files in folders of images that are not read, and paths of another machine: both are counted and named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from attendet.data.formats.image_files import ImageFiles
from attendet.data.images import is_image
from attendet.data.reading.label_folders import FolderListing, find_label_files
from attendet.data.records import Problem, ProblemKind
from attendet.errors import Location

# Files that systems write without being asked.
_LITTER = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", ".ds_store"})
# Files of a data set that describe it; an image never has these endings.
_DESCRIPTIONS = frozenset(
    {".cache", ".csv", ".data", ".html", ".json", ".labels", ".md", ".names", ".txt", ".xml", ".yaml", ".yml"}
)


def file_problems(files: ImageFiles, suffix: str, root: Path, listing: FolderListing) -> list[Problem]:
    """Return the problems of files that are not read, and of paths that were shortened.

    Args:
        files: The files of a split.
        suffix: Suffix of label files, `.txt` or `.xml`.
        root: Folder of the data set.
        listing: Names in folders.

    Returns:
        One problem per file whose name has no known ending of an image, or that is hidden. Descriptions of the data set
        and files that systems write (`Thumbs.db`, `._a.jpg`) are not counted.
    """
    others = [file for file in files.others if not _is_expected(Path(file).name)]
    problems = [foreign_prefix(prefix, file) for prefix, file in files.foreign]
    return [*problems, *_problems_of_others(others, suffix, root, listing)]


def foreign_prefix(prefix: str, file: str) -> Problem:
    """Return the problem of a beginning of paths that was left out."""
    return Problem(ProblemKind.FOREIGN_PATHS, Location(file), f"{prefix} does not exist here and was left out")


def _is_expected(name: str) -> bool:
    lower = name.lower()
    if lower in _LITTER or lower.startswith("._"):
        return True
    suffix = Path(lower).suffix
    # Of hidden files, only images could be meant.
    return not is_image(lower) if lower.startswith(".") else suffix in _DESCRIPTIONS or not suffix


def _problems_of_others(files: Sequence[str], suffix: str, root: Path, listing: FolderListing) -> list[Problem]:
    labels = find_label_files(files, suffix, root, listing).paths if files else []
    problems = []
    for file, label in zip(files, labels, strict=True):
        where = Location(file if file.isprintable() else ascii(file)[1:-1])
        if Path(file).name.startswith("."):
            problems.append(Problem(ProblemKind.PASSED_OVER, where, "hidden"))
        elif os.path.lexists(label):
            problems.append(Problem(ProblemKind.UNKNOWN_ENDING, where, f"its labels are in {label}"))
        else:
            problems.append(Problem(ProblemKind.PASSED_OVER, where, "no known ending of an image"))
    return problems
