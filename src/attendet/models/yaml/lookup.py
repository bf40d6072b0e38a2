"""Model files by path or bundled name."""

from __future__ import annotations

import os
from pathlib import Path

from attendet.errors import Location, ModelFileError, nearest_name
from attendet.models.bundled import bundled_names, bundled_text
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.utils.yaml_nodes import read_yaml_text


def load_model_file(model: str | os.PathLike[str]) -> ModelFile:
    """Return the validated model file of a path or a bundled name.

    Raises:
        ModelFileError: If there is none, or it is not valid.

    Example:
        >>> load_model_file("yolov5s").num_classes
        80
    """
    name = os.fspath(model)
    if name in bundled_names():
        return read_model_file(bundled_text(name), name)
    path = Path(name)
    if os.path.lexists(name):
        return read_model_file(read_yaml_text(path), name)
    nearest = nearest_name(name, bundled_names())
    remedy = f"did you mean {nearest!r}?" if nearest else f"bundled are {', '.join(bundled_names())}"
    raise ModelFileError("there is no such file and no such bundled model", where=Location(name), remedy=remedy)
