"""Plan a model: work out the module, shapes, and size of every row without allocating weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from attendet.attention.base import Start
from attendet.blocks.wiring import BlockRequest
from attendet.errors import Location, ModelFileError
from attendet.models.findings import Finding
from attendet.models.yaml.activations import read_activation
from attendet.models.yaml.detect_rows import inferred_class_branch
from attendet.models.yaml.dialects import find_dialect
from attendet.models.yaml.family_blocks import is_c2f, is_c3k2
from attendet.models.yaml.lookup import ModelSource, load_model_file
from attendet.models.yaml.model_file import LayerRow, ModelFile
from attendet.models.yaml.row_planning import (
    MAX_MODULES,
    PlannedRow,
    PlanOptions,
    RowError,
    ShapePart,
    plan_row,
)
from attendet.models.yaml.unknown_maps import SourceMap, plan_row_tolerantly
from attendet.utils.text import shorten

_IMGSZ = 256
_MAX_PARAMETERS = 1_000_000_000
_MAX_KEY_LENGTH = 60
# Keys that another key or the head makes ineffective: the reason and the remedy.
_UNUSED_KEYS = {
    "anchors": (
        "`anchors` has no effect, because the head Detect [nc] reads no anchors",
        "remove it, or write Detect [nc, anchors] for the head of YOLOv5",
    ),
    "scales": ("`scales` has no effect, because the file has `depth_multiple`", "remove one of them"),
}


@dataclass(frozen=True)
class ModelPlan:
    """The modules that a model file describes, for a number of classes.

    Attributes:
        file: The model file.
        num_classes: Number of classes.
        imgsz: Side of the image on which shapes are measured, in pixels.
        rows: The planned rows.
        findings: Faults and remarks about single rows and about the keys of the file.
        options: The settings that all rows share.
    """

    file: ModelFile
    num_classes: int
    imgsz: int
    rows: tuple[PlannedRow, ...]
    findings: tuple[Finding, ...]
    options: PlanOptions = field(repr=False, compare=False)

    def scale(self, width: int) -> int:
        """Return a declared width times the width multiple, rounded up to a multiple of 8."""
        file = self.file
        return BlockRequest((), width_multiple=file.width_multiple, max_width=file.max_width).scale(width)

    def sources(self, row: int) -> list[Tensor]:
        """Return the feature maps (1, channels, height, width) that a row reads, on the meta device."""
        image = torch.empty(1, 3, self.imgsz, self.imgsz, device="meta")
        return [image if source.row < 0 else self.rows[source.row].outputs[0] for source in self.rows[row].row.sources]

    def stride(self, row: int) -> float:
        """Return the stride of a row's feature map in pixels; row -1 is the image, with stride 1.

        After a row that cannot be built, the stride is an assumption; only its changes from row to row are facts.
        """
        return 1.0 if row < 0 else self.imgsz / self.rows[row].shapes[0][2]

    def unknown(self, row: int) -> frozenset[ShapePart]:
        """Return the parts of the shape of a row's feature map that are assumed; row -1 is the image."""
        return frozenset() if row < 0 else self.rows[row].unknown

    def create_modules(self) -> list[nn.Module]:
        """Return new modules, one per row, on torch's current default device."""
        return [planned.create_module() for planned in self.rows if planned.spec]


def plan_model(
    model: ModelSource,
    *,
    num_classes: int | None = None,
    dialect: str = "auto",
    start: Start = "paper",
    checkpoint: Mapping[str, Tensor] | None = None,
    imgsz: int = _IMGSZ,
    tolerant: bool = False,
) -> ModelPlan:
    """Work out the module, shapes, and size of every row of a model file.

    Args:
        model: Path of a model file, a bundled name, or a model file that was read before.
        num_classes: Number of classes (default: that of the file).
        dialect: Dialect of attention rows: one of `attendet.models.yaml.DIALECT_NAMES`.
        start: Start of attention modules whose rows do not name one: `paper` or `identity`.
        checkpoint: A state dict of the model file. The shapes of its tensors decide over the arguments of CBAM rows.
        imgsz: Side of the image on which shapes are measured, in pixels.
        tolerant: Report a row that cannot be built as a finding, and continue with an unknown feature map.

    Raises:
        ModelFileError: If the file cannot be read; if a row cannot be built, unless `tolerant`; or if the model has too
            many modules or parameters.
        UnknownNameError: If the dialect is unknown.

    Example:
        >>> plan = plan_model("yolov5n_CBAM", num_classes=3)
        >>> plan.rows[9].row.module, plan.rows[9].shapes, plan.stride(9)
        ('CBAM', ((1, 256, 8, 8),), 32.0)
    """
    file = load_model_file(model)
    options = PlanOptions(
        file=file,
        num_classes=num_classes or file.num_classes,
        imgsz=imgsz,
        dialect=find_dialect(dialect),
        start=start,
        checkpoint=checkpoint or {},
        activation=read_activation(file.activation) if file.activation else None,
    )
    return _plan(options, tolerant=tolerant)


def replan(plan: ModelPlan, file: ModelFile) -> ModelPlan:
    """Return a tolerant plan of another version of a file, with the settings of its plan.

    Raises:
        ModelFileError: If the model has too many modules or parameters.
    """
    return _plan(replace(plan.options, file=file), tolerant=True)


def _plan(options: PlanOptions, *, tolerant: bool) -> ModelPlan:
    file, imgsz = options.file, options.imgsz
    maps = {-1: SourceMap(torch.empty(1, 3, imgsz, imgsz, device="meta"))}
    rows: list[PlannedRow] = []
    for row in file.rows:
        sources = [maps[source.row] for source in row.sources]
        planned = plan_row_tolerantly(row, sources, options) if tolerant else _plan_or_raise(row, sources, options)
        maps[row.index] = SourceMap(planned.outputs[0], planned.unknown)
        rows.append(planned)
        _limit_size(rows)
    _require_final_detect(rows)
    findings = [*_file_findings(file), *(finding for planned in rows for finding in planned.findings)]
    return ModelPlan(file, options.num_classes, imgsz, tuple(rows), tuple(findings), options)


def _plan_or_raise(row: LayerRow, sources: Sequence[SourceMap], options: PlanOptions) -> PlannedRow:
    try:
        return plan_row(row, [source.tensor for source in sources], options)
    except RowError as error:
        message = f"row {row.index}: {error.finding.message}"
        raise ModelFileError(message, where=row.location, remedy=error.finding.remedy) from error


def _file_findings(file: ModelFile) -> list[Finding]:
    findings = [_unused_key(key, where) for key, where in file.unused_keys]
    blocks = [row.module for row in file.rows]
    is_mostly_yolov8 = sum(map(is_c2f, blocks)) > sum(map(is_c3k2, blocks))
    if inferred_class_branch(file) == "depthwise" and is_mostly_yolov8:
        message = "C3k2 among blocks C2f gives Detect the class branch of YOLO11"
        remedy = "write [nc, {classes: dense}] for that of YOLOv8, or [nc, {classes: depthwise}]"
        findings.append(Finding("class-branch", message, remedy, file.rows[-1].location, file.rows[-1].index))
    if file.is_size_assumed:
        message = f"the name of the file selects none of its sizes; {file.size}, the first one, is used"
        findings.append(Finding("size", message, f"add `scale: {file.size}`, or another size", Location(file.name)))
    if isinstance(file.anchors, int):
        message = f"the {file.anchors} anchors per level have no sizes yet and are squares"
        findings.append(Finding("anchors", message, "training fits them to the data", file.rows[-1].location))
    return findings


def _unused_key(key: str, where: Location) -> Finding:
    message, remedy = _UNUSED_KEYS.get(
        key, (f"`{shorten(key, _MAX_KEY_LENGTH)}` has no meaning in a model file", "remove it")
    )
    return Finding("unknown-key", message, remedy, where)


def _limit_size(rows: Sequence[PlannedRow]) -> None:
    for name, total, limit in (
        ("modules", sum(planned.modules for planned in rows), MAX_MODULES),
        ("parameters", sum(planned.parameters for planned in rows), _MAX_PARAMETERS),
    ):
        if total > limit:
            message = f"the model must have at most {limit:,} {name}, got {total:,} up to row {len(rows) - 1}"
            raise ModelFileError(message, where=rows[-1].row.location)


def _require_final_detect(rows: Sequence[PlannedRow]) -> None:
    for planned in rows[:-1]:
        if planned.kind == "detect":
            message = f"Detect must be the last row, got it as row {planned.row.index} of {len(rows)}"
            raise ModelFileError(message, where=planned.row.location)
    last = rows[-1]
    if last.kind not in ("detect", None):
        raise ModelFileError(f"the last row must be Detect, got {last.row.module}", where=last.row.location)
