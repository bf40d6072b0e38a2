"""Build detectors from model files."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from attendet.attention.base import Start
from attendet.errors import AttendetWarning, ModelFileError, OptionError, unknown_name
from attendet.models.count_evidence import Like
from attendet.models.detector import Detector, Route
from attendet.models.findings import Finding
from attendet.models.lint.examination import examine
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.readings import AttentionReading, attention_readings
from attendet.models.resolution import resolve_readings
from attendet.models.yaml.lookup import ModelSource

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltModel:
    """A new detector and the plan from which it was built.

    Attributes:
        detector: The detector, with random weights.
        plan: Modules, shapes, and sizes of its rows.
        choices: The rows that are read differently because of `like`, one sentence each.
        unexplained: The rows whose parameter count in `like` no known reading has.
    """

    detector: Detector
    plan: ModelPlan
    choices: tuple[str, ...] = ()
    unexplained: tuple[Finding, ...] = ()

    def findings(self) -> list[Finding]:
        """Return the faults and remarks that `attendet check` reports about the model file."""
        return [*examine(self.plan), *self.unexplained]

    def attention_readings(self) -> list[AttentionReading]:
        """Return how each attention row is read."""
        return attention_readings(self.plan)


def build(
    model: ModelSource,
    num_classes: int | None = None,
    *,
    dialect: str = "auto",
    start: Start = "paper",
    checkpoint: Mapping[str, Tensor] | None = None,
    like: Like | None = None,
) -> Detector:
    """Build the detector that a model file describes, with random weights.

    How each attention row is read is logged at level INFO.

    Args:
        model: Path of a YOLOv5-style model file, or a bundled name such as `yolov5s` or `yolov5s_CBAM`.
        num_classes: Number of classes, at least 1 (default: that of the file).
        dialect: Dialect of attention rows: one of `attendet.models.yaml.DIALECT_NAMES`.
        start: Start of attention modules whose rows do not name one: `paper`, or `identity`, with which the module at
            first multiplies its input by 1.
        checkpoint: A state dict of the model file. Its tensors decide how attention rows are read.
        like: What a fork printed when it built the file: a text file with the table `from n params module arguments`,
            such as a log; the total number of parameters; or the state dict of its network. The counts decide how
            attention rows are read.

    Returns:
        The detector in training mode, on torch's current default device.

    Raises:
        ModelFileError: If the file does not exist or cannot be built, or the table belongs to another file.
        OptionError: If the number of classes is less than 1, or `like` cannot be read.
        UnknownNameError: If the dialect or the start is unknown.

    Warns:
        AttendetWarning: About each fault of a file that can be built regardless, and each remark of `attendet check`.

    Example:
        >>> detector = build("yolov5n_CBAM", num_classes=3)
        >>> detector.strides
        (8.0, 16.0, 32.0)
    """
    built = build_model(model, num_classes, dialect=dialect, start=start, checkpoint=checkpoint, like=like)
    # The readings take time, because the alternatives of every row are built.
    if _logger.isEnabledFor(logging.INFO):
        for line in (*built.choices, *built.attention_readings()):
            _logger.info("%s", line)
    for finding in built.findings():
        warnings.warn(str(finding), AttendetWarning, stacklevel=2)
    return built.detector


def build_model(
    model: ModelSource,
    num_classes: int | None = None,
    *,
    dialect: str = "auto",
    start: Start = "paper",
    checkpoint: Mapping[str, Tensor] | None = None,
    like: Like | None = None,
) -> BuiltModel:
    """Build a detector like `build`, and return it together with its plan; nothing is logged or warned about.

    Args:
        model: Path of a model file, a bundled name, or a model file that was read before.
        num_classes: As in `build`.
        dialect: As in `build`.
        start: As in `build`.
        checkpoint: As in `build`.
        like: As in `build`.

    Raises:
        ModelFileError: If the file does not exist or cannot be built, or the table belongs to another file.
        OptionError: If the number of classes is less than 1, or `like` cannot be read.
        UnknownNameError: If the dialect or the start is unknown.

    Example:
        >>> built = build_model("yolov5n", num_classes=3)
        >>> built.plan.file.name, built.detector.num_classes, built.findings()
        ('yolov5n', 3, [])
    """
    if num_classes is not None and num_classes < 1:
        raise OptionError(f"`num_classes` must be at least 1, got {num_classes}")
    if start not in get_args(Start):
        raise unknown_name("start", start, get_args(Start))
    choices: tuple[str, ...] = ()
    unexplained: tuple[Finding, ...] = ()
    if like is not None:
        resolution = resolve_readings(model, like, num_classes=num_classes, dialect=dialect)
        model, choices, unexplained = resolution.file, resolution.choices, resolution.findings
        num_classes = num_classes or resolution.num_classes
    elif checkpoint:
        # A state dict of other rows, or with rows that no reading explains, decides nothing about them.
        with contextlib.suppress(OptionError, ModelFileError):
            model = resolve_readings(model, checkpoint, num_classes=num_classes, dialect=dialect).file
    plan = plan_model(model, num_classes=num_classes, dialect=dialect, start=start, checkpoint=checkpoint)
    return BuiltModel(_assemble(plan), plan, choices, unexplained)


def _assemble(plan: ModelPlan) -> Detector:
    routes = [
        Route(tuple(source.row for source in planned.row.sources), joins=bool(planned.spec and planned.spec.joins))
        for planned in plan.rows
    ]
    backbone = sum(planned.row.section == "backbone" for planned in plan.rows)
    return Detector(plan.create_modules(), routes, backbone)
