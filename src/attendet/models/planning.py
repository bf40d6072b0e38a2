"""From the rows of a model file to what each of them becomes, without a byte of weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attendet.attention.base import Start
from attendet.blocks.wiring import ModuleSpec, RuleKind
from attendet.errors import AttendetWarning, ModelFileError
from attendet.models.findings import Finding
from attendet.models.yaml.activations import read_activation
from attendet.models.yaml.dialects import Reading, dialect_named
from attendet.models.yaml.model_file import MAX_WIDTH, LayerRow, ModelFile
from attendet.models.yaml.row_trial import MAX_MODULES, RowError, Settings, try_row

PROBE_SIZE = 256
MAX_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class PlannedRow:
    """What a row becomes.

    Attributes:
        row: The row.
        shapes: Shape (1, channels, height, width) of the map it gives for the probing image; for the head, the shape
            (1, anchors, height, width, classes + 5) of each level.
        kind: The wiring rule of its block; None if the row cannot be built.
        recipe: How to make its module; None if the row cannot be built.
        reading: How its arguments were understood, for attention.
        parameters: Learned values.
        modules: Modules within modules, its own included.
    """

    row: LayerRow
    shapes: tuple[tuple[int, ...], ...]
    kind: RuleKind | None = None
    recipe: ModuleSpec | None = None
    reading: Reading | None = None
    parameters: int = 0
    modules: int = 0


@dataclass(frozen=True)
class ModelPlan:
    """What a model file becomes, for a number of classes.

    Attributes:
        file: The file.
        num_classes: Number of classes.
        imgsz: Side of the probing image in pixels.
        rows: What each row becomes.
        findings: What there is to say about the rows one by one.
    """

    file: ModelFile
    num_classes: int
    imgsz: int
    rows: tuple[PlannedRow, ...]
    findings: tuple[Finding, ...]

    def stride(self, row: int) -> float:
        """Return the stride of a row's map against the image, in pixels; row -1 is the image itself."""
        return 1.0 if row < 0 else self.imgsz / self.rows[row].shapes[0][2]

    def make(self) -> list[nn.Module]:
        """Return new modules, one per row, on the current device."""
        with warnings.catch_warnings():
            # The trial has collected them as findings.
            warnings.simplefilter("ignore", AttendetWarning)
            return [planned.recipe.make() for planned in self.rows if planned.recipe]


def plan_model(
    file: ModelFile,
    *,
    num_classes: int | None = None,
    dialect: str = "auto",
    start: Start = "paper",
    checkpoint: Mapping[str, Tensor] | None = None,
    imgsz: int = PROBE_SIZE,
    tolerant: bool = False,
) -> ModelPlan:
    """Work out what every row of a model file becomes.

    Args:
        file: The model file.
        num_classes: Number of classes, instead of the file's own.
        dialect: How to read attention rows, `auto` or one of `DIALECTS`.
        start: How attention starts where a row does not say: `paper` or `identity`.
        checkpoint: A state dict of this model file, whose shapes decide over what the arguments of CBAM rows say.
        imgsz: Side of the probing image in pixels.
        tolerant: Report a row that cannot be built among the findings, and go on as if it gave what it reads.

    Raises:
        ModelFileError: At the first row that cannot be built, unless tolerant.
        UnknownNameError: If there is no such dialect.
    """
    settings = Settings(
        file=file,
        num_classes=num_classes or file.num_classes,
        imgsz=imgsz,
        dialect=dialect_named(dialect),
        start=start,
        checkpoint=checkpoint or {},
        activation=read_activation(file.activation) if file.activation else None,
    )
    found = [Finding("unknown-key", f"{key} means nothing here", "leave it out", where) for key, where in file.unknown]
    if isinstance(file.anchors, int):
        what = f"{file.anchors} anchors per level are to be found in the training data; until then they are squares"
        found.append(Finding("anchors", what, "fit them before training", file.rows[-1].location))
    maps: dict[int, Tensor] = {-1: torch.empty(1, 3, imgsz, imgsz, device="meta")}
    rows: list[PlannedRow] = []
    for row in file.rows:
        sources = [maps[source.row] for source in row.sources]
        try:
            trial = try_row(row, sources, settings)
        except RowError as error:
            if not tolerant:
                what = f"row {row.index}: {error.finding.what}"
                raise ModelFileError(what, where=row.location, remedy=error.finding.remedy) from error
            found.append(error.finding)
            maps[row.index] = _as_read(sources)
            rows.append(PlannedRow(row, shapes=(tuple(maps[row.index].shape),)))
        else:
            found += trial.findings
            maps[row.index] = trial.outputs[0]
            rows.append(
                PlannedRow(
                    row,
                    shapes=tuple(tuple(output.shape) for output in trial.outputs),
                    kind=trial.kind,
                    recipe=trial.recipe,
                    reading=trial.reading,
                    parameters=trial.parameters,
                    modules=trial.modules,
                )
            )
        _bound(rows)
    _require_head(rows)
    return ModelPlan(file, settings.num_classes, imgsz, tuple(rows), tuple(found))


def _as_read(sources: Sequence[Tensor]) -> Tensor:
    """Return a map as large as the first source and as wide as all together, within reason."""
    channels = min(sum(source.shape[1] for source in sources), MAX_WIDTH)
    return sources[0].new_empty(1, channels, *sources[0].shape[2:])


def _bound(rows: Sequence[PlannedRow]) -> None:
    for what, limit in (("parameters", MAX_PARAMETERS), ("modules", MAX_MODULES)):
        if sum(getattr(planned, what) for planned in rows) > limit:
            raise ModelFileError(f"there are more than {limit:,} {what} up to here", where=rows[-1].row.location)


def _require_head(rows: Sequence[PlannedRow]) -> None:
    for planned in rows[:-1]:
        if planned.kind == "detect":
            raise ModelFileError(
                f"row {planned.row.index} is Detect, and rows follow it",
                where=planned.row.location,
                remedy="Detect is the last row",
            )
    if rows[-1].kind not in ("detect", None):
        raise ModelFileError("the last row is not Detect", where=rows[-1].row.location, remedy="end with Detect")
