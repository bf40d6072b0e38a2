"""Look up model files by path or bundled name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from attendet.errors import Location, ModelFileError, misspelled_name
from attendet.models.bundled import bundled_names, bundled_text
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.utils.yaml_nodes import read_yaml_text

ModelSource: TypeAlias = "str | os.PathLike[str] | ModelFile"


def load_model_file(model: ModelSource) -> ModelFile:
    """Read and validate the model file of a path or a bundled name.

    Args:
        model: Path of a YOLOv5-style model file, or a bundled name such as `yolov5s`. A model file that was read before
            is returned as it is.

    Raises:
        ModelFileError: If there is no such file or bundled model, or the file is not valid.

    Example:
        >>> load_model_file("yolov5s").num_classes
        80
    """
    if isinstance(model, ModelFile):
        return model
    name = os.fspath(model)
    if name in bundled_names():
        return read_model_file(bundled_text(name), name)
    if os.path.lexists(name):
        return read_model_file(read_yaml_text(Path(name)), name)
    # YOLOv5 writes the names of its models like file names.
    nearest = misspelled_name(name.removesuffix(".yaml").removesuffix(".yml"), bundled_names())
    remedy = f"did you mean {nearest!r}?" if nearest else f"bundled models are {', '.join(bundled_names())}"
    raise ModelFileError("no such model file or bundled model", where=Location(name), remedy=remedy)
