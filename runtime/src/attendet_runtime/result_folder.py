"""The folder of a run of the command, and files in it that appear complete or not at all."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attendet_runtime.errors import UserError, first_line

_DEFAULT = Path("runs/attendet-runtime/exp")
_JPEG_SUFFIXES = (".jpg", ".jpeg")
_WRITTEN_SUFFIXES = (*_JPEG_SUFFIXES, ".png", ".webp", ".bmp", ".tif", ".tiff")


def new_folder(chosen: Path | None) -> Path:
    """Create and return a folder.

    Args:
        chosen: Its path, which must not exist; None for `runs/attendet-runtime/exp`, or `exp2`, `exp3`, … if that
            exists.

    Raises:
        UserError: If the folder exists, or cannot be created.
    """
    folder = chosen or _DEFAULT
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(2):
            try:
                folder.mkdir()
            except FileExistsError:
                if chosen is not None:
                    raise UserError(f"{folder}: already exists; choose another folder") from None
                folder = _DEFAULT.with_name(f"{_DEFAULT.name}{number}")
            else:
                break
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


class PictureFolder:
    """A folder of pictures, each with its own name.

    Args:
        folder: The folder, which is empty.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._taken: set[str] = set()

    def write(self, source: str, picture: NDArray[np.uint8], ending: str = "") -> Path:
        """Write a picture under the name of its source, with a number if the name is taken, and return its path.

        Args:
            source: Path of the image.
            picture: (H, W, 3) red, green, blue in 0-255.
            ending: Added to the name.

        Raises:
            UserError: If the file cannot be written.
        """
        suffix = Path(source).suffix
        suffix = suffix if suffix.lower() in _WRITTEN_SUFFIXES else ".png"
        stem = f"{Path(source).stem}{ending}"
        name = next(name for name in _numbered(stem, suffix) if name.lower() not in self._taken)
        self._taken.add(name.lower())
        path = self.path / name
        try:
            with _written_completely(path) as temporary:
                Image.fromarray(picture).save(temporary, quality=95)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be written: {first_line(error)}") from error
        return path


def _numbered(stem: str, suffix: str) -> Iterator[str]:
    yield f"{stem}{suffix}"
    for number in itertools.count(2):
        yield f"{stem}_{number}{suffix}"


@contextmanager
def _written_completely(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix, and move the file to `path` if the block succeeds."""
    descriptor, name = tempfile.mkstemp(suffix=path.suffix, prefix=".unfinished-", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        # A link fails if another program has made the file in the meantime; a rename would replace it.
        os.link(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
