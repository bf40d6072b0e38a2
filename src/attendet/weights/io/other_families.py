"""Detectors of other projects that attendet recognizes in a weights file, and does not build."""

from __future__ import annotations

import yaml

from attendet.errors import Location, WeightsError
from attendet.weights.formats.reader import Checkpoint

_ULTRALYTICS = "a model of the Ultralytics package (YOLOv8, YOLO11, or a relative)"
# The constant weights with which its heads compute the mean of a distribution.
_DISTRIBUTION_KEY = ".dfl.conv.weight"


def other_family(checkpoint: Checkpoint) -> str | None:
    """Return the name of the family if a file has a model of a known family that is not YOLOv5's; otherwise None.

    The class of a pickled model shows the family; in other files, the model file (`scales` in the place of anchors) and
    the tensors of the head do.

    Example:
        >>> other_family(Checkpoint({}, "module", None, None, {}, {}, "ultralytics.nn.tasks.DetectionModel"))
        'a model of the Ultralytics package (YOLOv8, YOLO11, or a relative)'
        >>> other_family(Checkpoint({}, "module", None, None, {}, {}, "models.yolo.DetectionModel")) is None
        True
    """
    of_package = (checkpoint.module_class or "").startswith("ultralytics.")
    has_distribution = any(key.endswith(_DISTRIBUTION_KEY) for key in checkpoint.tensors)
    return _ULTRALYTICS if of_package or has_distribution or _has_scales(checkpoint.model_file) else None


def family_error(family: str, where: Location) -> WeightsError:
    """Return the error for a file of another family, which names what works with it."""
    return WeightsError(
        f"the file has {family}, which attendet does not build",
        where=where,
        remedy="its rows load into equal rows of a model file: attendet train --cfg MODEL --weights FILE",
    )


def _has_scales(text: str | None) -> bool:
    """Return whether a model file has `scales` and no anchors; the text was written by the reader of the pickle."""
    keys = yaml.safe_load(text) if text else None
    return isinstance(keys, dict) and "scales" in keys and "anchors" not in keys
