"""Plan a model: work out the module, shapes, and size of every row without allocating weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attendet.attention.base import Start
from attendet.errors import AttendetWarning, ModelFileError
from attendet.models.findings import Finding
from attendet.models.yaml.activations import read_activation
from attendet.models.yaml.dialects import find_dialect
from attendet.models.yaml.lookup import ModelSource, load_model_file
from attendet.models.yaml.model_file import MAX_WIDTH, LayerRow, ModelFile
from attendet.models.yaml.row_planning import MAX_MODULES, PlannedRow, PlanOptions, RowError, plan_row

_IMGSZ = 256
_MAX_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class ModelPlan:
    """The modules that a model file describes, for a number of classes.

    Attributes:
        file: The model file.
        num_classes: Number of classes.
        imgsz: Side of the image on which shapes are measured, in pixels.
        rows: The planned rows.
        findings: Faults and remarks about single rows and about the keys of the file.
    """

    file: ModelFile
    num_classes: int
    imgsz: int
    rows: tuple[PlannedRow, ...]
    findings: tuple[Finding, ...]

    def stride(self, row: int) -> float:
        """Return the stride of a row's feature map in pixels; row -1 is the image, with stride 1."""
        return 1.0 if row < 0 else self.imgsz / self.rows[row].shapes[0][2]

    def create_modules(self) -> list[nn.Module]:
        """Return new modules, one per row, on torch's current default device."""
        with warnings.catch_warnings():
            # The same warnings are among the findings.
            warnings.simplefilter("ignore", AttendetWarning)
            return [planned.spec.make() for planned in self.rows if planned.spec]


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
        tolerant: Report a row that cannot be built as a finding, and continue as if it returned its input.

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
    maps: dict[int, Tensor] = {-1: torch.empty(1, 3, imgsz, imgsz, device="meta")}
    rows: list[PlannedRow] = []
    for row in file.rows:
        sources = [maps[source.row] for source in row.sources]
        planned = _plan_or_assume(row, sources, options, tolerant=tolerant)
        maps[row.index] = planned.outputs[0]
        rows.append(planned)
        _limit_size(rows)
    _require_final_detect(rows)
    findings = [*_file_findings(file), *(finding for planned in rows for finding in planned.findings)]
    return ModelPlan(file, options.num_classes, imgsz, tuple(rows), tuple(findings))


def _plan_or_assume(row: LayerRow, sources: Sequence[Tensor], options: PlanOptions, *, tolerant: bool) -> PlannedRow:
    try:
        return plan_row(row, sources, options)
    except RowError as error:
        finding = error.finding
        if not tolerant:
            message = f"row {row.index}: {finding.message}"
            raise ModelFileError(message, where=row.location, remedy=finding.remedy) from error
        return PlannedRow(row, (_assumed_output(sources),), findings=(finding,))


def _assumed_output(sources: Sequence[Tensor]) -> Tensor:
    """Return a feature map with the height and width of the first source and the channels of all of them."""
    channels = min(sum(source.shape[1] for source in sources), MAX_WIDTH)
    return torch.empty(1, channels, *sources[0].shape[2:], device="meta")


def _file_findings(file: ModelFile) -> list[Finding]:
    findings = [
        Finding("unknown-key", f"`{key}` has no meaning in a model file", "remove it", where)
        for key, where in file.unknown_keys
    ]
    if isinstance(file.anchors, int):
        message = f"the {file.anchors} anchors per level have no sizes yet and are squares"
        findings.append(Finding("anchors", message, "training fits them to the data", file.rows[-1].location))
    return findings


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
