"""Look up model files by path or bundled name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeAlias

from attendet.errors import Location, ModelFileError, misspelled_name
from attendet.models.bundled import FAMILIES, Family, bundled_names, bundled_text
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.utils.yaml_nodes import read_yaml_text

# A bundled name and perhaps that of an attention module, not of another task: yolov8n_SE, yolov8nSE, yolov8n-se.
_ATTENTION_ENDING = re.compile(r"(yolov?\d+[a-z])(?:[-_]|(?=[A-Z]))(?!(?:seg|pose|obb|cls)$)([A-Za-z]{2,40})")

ModelSource: TypeAlias = "str | os.PathLike[str] | ModelFile"


def load_model_file(model: ModelSource) -> ModelFile:
    """Read and validate the model file of a path or a bundled name.

    Args:
        model: Path of a YOLOv5-style model file, or a bundled name such as `yolov5s` or `yolov5s.yaml`. A model file
            that was read before is returned as it is.

    Raises:
        ModelFileError: If there is no such file or bundled model, or the file is not valid.

    Example:
        >>> load_model_file("yolov5s").num_classes
        80
    """
    if isinstance(model, ModelFile):
        return model
    name = os.fspath(model)
    bundled = find_bundled(name)
    if bundled is not None:
        return read_model_file(bundled_text(bundled), bundled)
    if os.path.lexists(name):
        return read_model_file(read_yaml_text(Path(name)), name)
    remedy = _bundled_remedy(_without_suffix(Path(name).name))
    raise ModelFileError("no such model file or bundled model", where=Location(name), remedy=remedy)


def find_bundled(name: str) -> str | None:
    """Return the name of the bundled model that a name means, or None.

    YOLOv5 writes the names of its models like file names: `yolov5s.yaml` means the bundled model, unless a file has
    that name.

    Args:
        name: A bundled name, with or without `.yaml` or `.yml`, or the path of a model file.

    Example:
        >>> find_bundled("yolov5s"), find_bundled("yolov5s.yaml"), find_bundled("models/yolov5s.yaml")
        ('yolov5s', 'yolov5s', None)
    """
    if name in bundled_names():
        return name
    bundled = _without_suffix(name)
    return bundled if bundled in bundled_names() and not os.path.lexists(name) else None


def _bundled_remedy(name: str) -> str:
    """Return what to write in place of a name that no bundled model has."""
    nearest = misspelled_name(name, bundled_names())
    if nearest:
        return f"did you mean {nearest!r}?"
    for family in FAMILIES:
        for ending in family.endings:
            if name == family.name + ending:
                return f"name a size: {', '.join(f'{family.name}{size}{ending}' for size in family.sizes)}"
    attached = _ATTENTION_ENDING.fullmatch(name)
    if attached and attached[1] in bundled_names():
        base, word = attached.groups()
        return f"for an attention module named {word}, write --cfg {base} --attention {word.lower()}@neck"
    own = [family for family in FAMILIES if name.startswith(family.name)]
    return f"bundled models are {'; '.join(_listed(family) for family in own or FAMILIES)}"


def _listed(family: Family) -> str:
    """Return the names of a family in a short form."""
    endings = " or ".join(ending for ending in family.endings if ending)
    return f"{family.name}{{{','.join(family.sizes)}}}, also with {endings}"


def _without_suffix(name: str) -> str:
    return name.removesuffix(".yaml").removesuffix(".yml")
