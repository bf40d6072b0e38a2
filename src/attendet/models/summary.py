"""The table of a model: what each row is, gives and costs."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from attendet.errors import OptionError
from attendet.models.costs import count_costs, total
from attendet.models.lint.examination import examine
from attendet.models.planning import ModelPlan, PlannedRow, plan_model
from attendet.models.readings import describe_attention
from attendet.models.yaml.lookup import load_model_file


@dataclass(frozen=True)
class SummaryRow:
    """One row of the table.

    Attributes:
        row: Its number.
        sources: What it reads, as the file has it.
        repeats: How often its block stands in a row, or inside it.
        parameters: Learned values.
        module: The block's name.
        arguments: What the module is made with.
        shape: (channels, height, width) of what it gives; for the head one shape per level.
        stride: Pixels of the image per cell; for the head one per level.
        flops: Floating-point operations, a multiply-add counted as two.
        flops_share: Share of the model's, in 0-1.
        activation_bytes: What training keeps from it on for the backward pass, per image, float32; a map that several
            rows keep is the first one's.
        attention: How the row was understood, where it is attention; otherwise empty.
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
    flops_share: float
    activation_bytes: int
    attention: str


@dataclass(frozen=True)
class ModelSummary:
    """The table and its totals.

    Attributes:
        model: Path or bundled name.
        imgsz: Side of the image in pixels.
        num_classes: Number of classes.
        parameters: Learned values.
        gflops: Billions of floating-point operations per image, a multiply-add counted as two.
        activation_bytes: What training keeps for the backward pass, per image, float32.
        rows: The table.
        findings: What `attendet check` has to say.
    """

    model: str
    imgsz: int
    num_classes: int
    parameters: int
    gflops: float
    activation_bytes: int
    rows: list[SummaryRow]
    findings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def summarize(
    model: str | os.PathLike[str], *, imgsz: int = 640, num_classes: int | None = None, dialect: str = "auto"
) -> ModelSummary:
    """Return the table of a model.

    Args:
        model: Path of a model file, or a bundled name.
        imgsz: Side of the image in pixels, a multiple of the largest stride.
        num_classes: Number of classes, instead of the file's own.
        dialect: How attention rows are read.

    Raises:
        ModelFileError: If the file cannot be built.
        OptionError: If the image size is no multiple of the largest stride.
        UnknownNameError: If there is no such dialect.

    Example:
        >>> summary = summarize("yolov5s")
        >>> summary.parameters, round(summary.gflops, 1)
        (7235389, 16.4)
    """
    file = load_model_file(model)
    probed = plan_model(file, num_classes=num_classes, dialect=dialect)
    largest = max(1, int(max(_strides(probed, probed.rows[-1]))))
    if imgsz < largest or imgsz % largest:
        nearest = max(round(imgsz / largest), 1) * largest
        raise OptionError(f"images of {imgsz} pixels do not fit strides up to {largest}", remedy=f"use {nearest}")
    planned = plan_model(file, num_classes=num_classes, dialect=dialect, imgsz=imgsz)
    costs = count_costs(planned)
    whole = total(costs)
    rows = [
        SummaryRow(
            row=row.row.index,
            sources=[source.written for source in row.row.sources],
            repeats=file.repeats(row.row),
            parameters=row.parameters,
            module=row.row.module,
            arguments=list(row.recipe.arguments) if row.recipe else [],
            shape=_shape(row),
            stride=_strides(planned, row) if row.kind == "detect" else planned.stride(row.row.index),
            flops=cost.flops,
            flops_share=cost.flops / whole.flops if whole.flops else 0.0,
            activation_bytes=cost.activation_bytes,
            attention=describe_attention(row),
        )
        for row, cost in zip(planned.rows, costs, strict=True)
    ]
    return ModelSummary(
        model=os.fspath(model),
        imgsz=imgsz,
        num_classes=planned.num_classes,
        parameters=sum(row.parameters for row in planned.rows),
        gflops=whole.flops / 1e9,
        activation_bytes=whole.activation_bytes,
        rows=rows,
        findings=[str(finding) for finding in examine(probed)],
    )


def _shape(planned: PlannedRow) -> list[int] | list[list[int]]:
    shapes = [list(shape[1:]) for shape in planned.shapes]
    return shapes if planned.kind == "detect" else shapes[0]


def _strides(planned: ModelPlan, row: PlannedRow) -> list[float]:
    return [planned.imgsz / shape[2] for shape in row.shapes]
