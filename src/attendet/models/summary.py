"""Summaries of models: a table of the rows with their shapes and costs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from attendet.errors import OptionError
from attendet.models.costs import Cost, count_rows, sum_costs
from attendet.models.count_evidence import Like
from attendet.models.lint.examination import examine
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.readings import attention_readings
from attendet.models.resolution import Resolution, resolve_readings
from attendet.models.yaml.lookup import load_model_file
from attendet.models.yaml.row_planning import PlannedRow
from attendet.utils.html import escape, html_table
from attendet.utils.text import align_table, memory

SUMMARY_COLUMNS = ("row", "", "from", "n", "parameters", "module", "arguments", "output", "stride", "FLOPs", "memory")
NUMBER_COLUMNS = frozenset(("row", "n", "parameters", "FLOPs", "memory"))


@dataclass(frozen=True)
class SummaryRow:
    """A row of a summary.

    Attributes:
        row: Index of the row.
        sources: The rows that it reads, as written in the file.
        repeats: Repeats of its block, with the depth multiple applied.
        parameters: Number of learned values.
        module: Name of the block or attention module.
        arguments: Arguments of the module.
        shape: (channels, height, width) of the output; a list of shapes, one per level, for the head.
        stride: Stride of the output in pixels; a list, one per level, for the head.
        flops: Floating-point operations per image, a multiply-add counted as two.
        flops_fraction: Fraction of the model's FLOPs, 0-1.
        activation_bytes: Memory per image that training saves for the backward pass, in float32. Memory that several
            rows save is counted for the first of them.
        attention: How the row is read, for attention modules; otherwise empty.
    """

    row: int
    sources: list[int]
    repeats: int
    parameters: int
    module: str
    arguments: list[Any]
    shape: list[int] | list[list[int]]
    stride: float | list[float]
    flops: int
    flops_fraction: float
    activation_bytes: int
    attention: str

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, one cell per column of `SUMMARY_COLUMNS`; attention rows are marked with `*`."""
        strides = self.stride if isinstance(self.stride, list) else [self.stride]
        return (
            str(self.row),
            "*" if self.attention else "",
            str(self.sources[0]) if len(self.sources) == 1 else str(self.sources).replace(" ", ""),
            str(self.repeats),
            f"{self.parameters:,}",
            self.module,
            ", ".join(map(_argument_text, self.arguments)),
            _shape_text(self.shape),
            ", ".join(f"{stride:g}" for stride in strides),
            f"{self.flops_fraction:.2%}" if self.flops_fraction >= 5e-5 or not self.flops else "<0.01%",
            memory(self.activation_bytes),
        )


@dataclass(frozen=True, repr=False)
class ModelSummary:
    """The table of a model and its totals. `print` shows it as text, a notebook as an HTML table.

    Attributes:
        model: Path or bundled name.
        imgsz: Side of the image in pixels.
        num_classes: Number of classes.
        parameters: Number of learned values.
        gflops: Billions of floating-point operations per image, a multiply-add counted as two.
        activation_bytes: Memory per image that training saves for the backward pass, in float32.
        rows: The rows of the table.
        choices: The rows that are read differently because of `like`, one sentence each.
        findings: Faults and remarks of `attendet check`.
        size: Name of the size, such as `n`, if the file lists its sizes; otherwise None.
    """

    model: str
    imgsz: int
    num_classes: int
    parameters: int
    gflops: float
    activation_bytes: int
    rows: list[SummaryRow]
    choices: list[str]
    findings: list[str]
    size: str | None = None

    @property
    def title(self) -> str:
        """The model, its size if the file lists several, its number of classes, and the size of the image."""
        size = f", size {self.size}" if self.size else ""
        return f"{self.model}{size}, {self.num_classes} classes, {self.imgsz} px"

    @property
    def totals(self) -> str:
        """The totals of the table as a sentence."""
        return (
            f"{len(self.rows)} rows, {self.parameters:,} parameters, {self.gflops:.2f} GFLOPs, "
            f"{memory(self.activation_bytes)} of memory for the backward pass per image"
        )

    def attention_lines(self) -> list[str]:
        """Return how each attention row is read, one line per row."""
        return [f"row {row.row} {row.module}: {row.attention}" for row in self.rows if row.attention]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = align_table(SUMMARY_COLUMNS, [row.cells() for row in self.rows], NUMBER_COLUMNS)
        notes = [
            *self.choices,
            *(f"* {line}" for line in self.attention_lines()),
            *(f"! {finding}" for finding in self.findings),
        ]
        return "\n".join([self.title, rows, "", self.totals, *notes])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.model!r}, imgsz={self.imgsz}, num_classes={self.num_classes}, "
            f"parameters={self.parameters:,}, gflops={self.gflops:.2f})"
        )

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        lines = [*self.choices, *self.attention_lines(), *self.findings]
        rows = html_table(SUMMARY_COLUMNS, [row.cells() for row in self.rows], label=self.title)
        return f"<p>{escape(self.title)}</p>{rows}" + "".join(
            f"<p>{escape(line)}</p>" for line in [self.totals, *lines]
        )


def summarize(
    model: str | os.PathLike[str],
    *,
    imgsz: int = 640,
    num_classes: int | None = None,
    dialect: str = "auto",
    like: Like | None = None,
) -> ModelSummary:
    """Summarize a model: the modules, shapes, and costs of its rows.

    Args:
        model: Path of a model file, or a bundled name.
        imgsz: Side of the image in pixels, a multiple of the largest stride.
        num_classes: Number of classes (default: that of the file).
        dialect: Dialect of attention rows: one of `attendet.models.yaml.DIALECT_NAMES`.
        like: What a fork printed when it built the file, as in `attendet.build`.

    Raises:
        ModelFileError: If the file does not exist or cannot be built.
        OptionError: If `like` cannot be read, or the image size is not a multiple of the largest stride.
        UnknownNameError: If the dialect is unknown.

    Example:
        >>> summarize("yolov5s")
        ModelSummary('yolov5s', imgsz=640, num_classes=80, parameters=7,235,389, gflops=16.43)
        >>> summarize("yolov5s").rows[0].shape
        [32, 320, 320]
    """
    file = load_model_file(model)
    resolution = Resolution(file)
    if like is not None:
        resolution = resolve_readings(file, like, num_classes=num_classes, dialect=dialect)
        file, num_classes = resolution.file, num_classes or resolution.num_classes
    # Faults are measured at the default size, where every stride divides the image.
    default = plan_model(file, num_classes=num_classes, dialect=dialect)
    largest = max(1, int(max(_level_strides(default, default.rows[-1]))))
    if imgsz < largest or imgsz % largest:
        nearest = max(round(imgsz / largest), 1) * largest
        raise OptionError(f"`imgsz` must be a multiple of the stride {largest}, got {imgsz}", remedy=f"use {nearest}")
    plan = plan_model(file, num_classes=num_classes, dialect=dialect, imgsz=imgsz)
    costs = count_rows(plan)
    total = sum_costs(costs)
    return ModelSummary(
        model=os.fspath(model),
        imgsz=imgsz,
        num_classes=plan.num_classes,
        parameters=sum(planned.parameters for planned in plan.rows),
        gflops=total.flops / 1e9,
        activation_bytes=total.activation_bytes,
        rows=_rows(plan, costs, total),
        choices=list(resolution.choices),
        findings=[str(finding) for finding in (*resolution.findings, *examine(default))],
        size=plan.file.size,
    )


def _rows(plan: ModelPlan, costs: Sequence[Cost], total: Cost) -> list[SummaryRow]:
    details = {reading.row: reading.details for reading in attention_readings(plan)}
    return [
        SummaryRow(
            row=planned.row.index,
            sources=[source.written for source in planned.row.sources],
            repeats=plan.file.repeats(planned.row),
            parameters=planned.parameters,
            module=planned.row.module,
            arguments=list(planned.spec.arguments) if planned.spec else [],
            shape=_shape(planned),
            stride=_level_strides(plan, planned) if planned.kind == "detect" else plan.stride(planned.row.index),
            flops=cost.flops,
            flops_fraction=cost.flops / total.flops if total.flops else 0.0,
            activation_bytes=cost.activation_bytes,
            attention=details.get(planned.row.index, ""),
        )
        for planned, cost in zip(plan.rows, costs, strict=True)
    ]


def _shape(planned: PlannedRow) -> list[int] | list[list[int]]:
    shapes = [list(shape[1:]) for shape in planned.shapes]
    return shapes if planned.kind == "detect" else shapes[0]


def _level_strides(plan: ModelPlan, planned: PlannedRow) -> list[float]:
    return [plan.imgsz / shape[2] for shape in planned.shapes]


def _argument_text(argument: object) -> str:
    if isinstance(argument, list) and argument and isinstance(argument[0], list):
        return f"{len(argument)}×{len(argument[0]) // 2} anchors"
    return str(argument)


def _shape_text(shape: list[int] | list[list[int]]) -> str:
    """Return a shape as 64×80×80; for the head, the height and width of each level."""
    levels = [level[1:3] for level in shape if isinstance(level, list)]
    if levels:
        return ", ".join("×".join(map(str, level)) for level in levels)
    return "×".join(map(str, shape))
