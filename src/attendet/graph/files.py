"""Model files by path or bundled name."""

from __future__ import annotations

import os
from pathlib import Path

from attendet.errors import Location, ModelFileError, OutputError, nearest_name
from attendet.graph.bundled import bundled_names, bundled_text
from attendet.graph.spec import ModelFile, read_model_file
from attendet.yaml_nodes import read_text


def load(model: str | os.PathLike[str]) -> ModelFile:
    """Return the validated model file of a path or a bundled name.

    Raises:
        ModelFileError: If there is none, or it is not valid.

    Example:
        >>> load("yolov5s").classes
        80
    """
    name = os.fspath(model)
    if name in bundled_names():
        return read_model_file(bundled_text(name), name)
    path = Path(name)
    if os.path.lexists(name):
        return read_model_file(read_text(path), name)
    nearest = nearest_name(name, bundled_names())
    remedy = f"did you mean {nearest!r}?" if nearest else f"bundled are {', '.join(bundled_names())}"
    raise ModelFileError("there is no such file and no such bundled model", where=Location(name), remedy=remedy)


def write_new(path: Path, text: str) -> None:
    """Write a text to a file that does not exist yet, whole or not at all.

    Raises:
        OutputError: If the file exists, or cannot be written.
    """
    if path.is_dir() or not path.name:
        raise OutputError("it is a folder", where=Location(str(path)), remedy="name a new file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        try:
            # A link, unlike a rename, never replaces a file that is there.
            os.link(temporary, path)
        finally:
            temporary.unlink()
    except FileExistsError as error:
        raise OutputError("it exists", where=Location(str(path)), remedy="name a new file") from error
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror}", where=Location(str(path))) from error
