"""From a model file's name to a network."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from typing import get_args

from torch import Tensor

from attendet.attention.base import Start
from attendet.errors import AttendetWarning, OptionError, unknown_name
from attendet.models.detector import Detector, Route
from attendet.models.lint.examination import examine
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.readings import attention_readings
from attendet.models.yaml.lookup import load_model_file

logger = logging.getLogger(__name__)


def build(
    model: str | os.PathLike[str],
    num_classes: int | None = None,
    *,
    dialect: str = "auto",
    start: Start = "paper",
    checkpoint: Mapping[str, Tensor] | None = None,
) -> Detector:
    """Return the network that a model file describes, with fresh weights.

    How every row with attention was understood is logged at level INFO.

    Args:
        model: Path of a YOLOv5-style model file, or a bundled name such as `yolov5s` or `yolov5s_CBAM`.
        num_classes: Number of classes, instead of the file's own.
        dialect: How attention rows are read, see `attendet.models.yaml.dialects`.
        start: How attention starts where a row does not say: `paper`, or `identity` to multiply by 1 at first.
        checkpoint: A state dict of this model file, whose shapes decide over what the arguments of CBAM rows say.

    Raises:
        ModelFileError: If there is no such file, or it cannot be built; with line and column.
        OptionError: If there are no classes.
        UnknownNameError: If there is no such dialect or start.

    Warns:
        AttendetWarning: About every fault that the file builds with, and every remark, as `attendet check` has them.

    Example:
        >>> detector = build("yolov5n_CBAM", num_classes=3)
        >>> detector.strides
        (8.0, 16.0, 32.0)
    """
    if num_classes is not None and num_classes < 1:
        raise OptionError(f"{num_classes} classes", remedy="give at least 1")
    if start not in get_args(Start):
        raise unknown_name("start", start, get_args(Start))
    planned = plan_model(
        load_model_file(model), num_classes=num_classes, dialect=dialect, start=start, checkpoint=checkpoint
    )
    for reading in attention_readings(planned):
        logger.info(reading)
    for finding in examine(planned):
        warnings.warn(str(finding), AttendetWarning, stacklevel=2)
    return assemble(planned)


def assemble(planned: ModelPlan) -> Detector:
    """Return the network of a plan, with fresh weights."""
    routes = [
        Route(tuple(source.row for source in row.row.sources), joins=bool(row.recipe and row.recipe.joins))
        for row in planned.rows
    ]
    backbone = sum(row.row.section == "backbone" for row in planned.rows)
    return Detector(planned.make(), routes, backbone)
