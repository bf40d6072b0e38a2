"""What a study keeps: what was planned, one record a run, and costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, model_validator

from attendet.study.design.grid import Cell
from attendet.study.design.schema import Metric, StudyDesign
from attendet.utils.settings import NonNegative, StrictModel

# Characters of an error that are kept: a traceback of a library is no record.
LONGEST_ERROR = 2000
# The columns of results.csv that hold what decides.
COLUMNS: Mapping[Metric, str] = {
    "map50_95": "metrics/mAP_0.5:0.95",
    "map50": "metrics/mAP_0.5",
    "precision": "metrics/precision",
    "recall": "metrics/recall",
}
LOSSES = ("box_loss", "obj_loss", "cls_loss")


class ClassScores(StrictModel):
    """How well one class is detected; fields as in `attendet.evaluation.metrics.ClassMetrics`."""

    name: str
    images: int
    objects: int
    precision: FiniteFloat | None
    recall: FiniteFloat | None
    f1: FiniteFloat | None
    ap50: FiniteFloat | None
    ap50_95: FiniteFloat | None


class DetectionScores(StrictModel):
    """How good detections are; fields as in `attendet.evaluation.metrics.Metrics`."""

    map50_95: FiniteFloat
    map50: FiniteFloat
    map75: FiniteFloat
    map_small: FiniteFloat | None
    map_medium: FiniteFloat | None
    map_large: FiniteFloat | None
    precision: FiniteFloat
    recall: FiniteFloat
    f1: FiniteFloat
    confidence: FiniteFloat | None
    per_class: tuple[ClassScores, ...]


class CellRecord(StrictModel):
    """A run that ended, well or not.

    Attributes:
        key: Of its cell; the record's file is called so.
        arm: Name of its arm when it was run.
        seed: Its seed.
        fraction: Share of the training images, in 0-1.
        status: Whether it came to its end.
        error: Why not.
        history: By column of results.csv, a value an epoch; None where nothing was measured.
        best_epoch: The epoch, from 1, whose weights were kept as the best.
        best: What those are worth on the validation images.
        train: The same weights on the training images, not augmented; None where this was not measured.
        parameters: Learned values.
        gflops: Billions of floating-point operations an image, at the training size.
        images: By split.
        seconds: Of the whole run, and by part.
        device: What computed.
        versions: Of all that numbers depend on.
        initialization: Fingerprint of the first weights of each layer that is no part of attention, by its path.
        order: Fingerprint of which images came when.
    """

    key: str
    arm: str
    seed: int
    fraction: Annotated[float, Field(gt=0, le=1)]
    status: Literal["finished", "failed"]
    error: str | None = None
    history: dict[str, list[FiniteFloat | None]] = Field(default_factory=dict)
    best_epoch: int | None = None
    best: DetectionScores | None = None
    train: DetectionScores | None = None
    parameters: NonNegativeInt | None = None
    gflops: NonNegative | None = None
    images: dict[str, int] = Field(default_factory=dict)
    seconds: dict[str, NonNegative] = Field(default_factory=dict)
    device: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    initialization: dict[str, str] = Field(default_factory=dict)
    order: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> CellRecord:
        if len({len(column) for column in self.history.values()}) > 1:
            raise ValueError("columns of the history differ in length")
        if self.status == "finished" and (self.best is None or self.parameters is None or self.gflops is None):
            raise ValueError("a finished run has best, parameters and gflops")
        measured = {column for column, values in self.history.items() if any(value is not None for value in values)}
        if self.status == "finished" and not measured.issuperset(COLUMNS.values()):
            raise ValueError("a finished run has measured epochs")
        return self


class Latency(StrictModel):
    """How long one pass takes: images of the training size to detections.

    Attributes:
        batch: Images at once.
        median_ms: Milliseconds a batch.
        low_ms: The lower quartile.
        high_ms: The upper quartile.
        rounds: Passes measured.
    """

    batch: PositiveInt
    median_ms: NonNegative
    low_ms: NonNegative
    high_ms: NonNegative
    rounds: PositiveInt


class ArmCosts(StrictModel):
    """What an arm costs to use.

    Attributes:
        parameters: Learned values.
        gflops: Billions of floating-point operations an image.
        activation_bytes: What training keeps of one image for the backward pass, weights left out.
        peak_bytes: Most memory in use at once, at the largest batch measured; None where it cannot be known.
        latency: By batch.
    """

    parameters: NonNegativeInt
    gflops: NonNegative
    activation_bytes: NonNegativeInt | None = None
    peak_bytes: NonNegativeInt | None = None
    latency: tuple[Latency, ...] = ()


class CostRecord(StrictModel):
    """Costs of all arms, measured in turns on one device so that a machine that slows down slows all.

    Attributes:
        device: What computed.
        imgsz: Side of the images in pixels.
        arms: By name.
    """

    device: str
    imgsz: int
    arms: dict[str, ArmCosts]


class StudyRecord(StrictModel):
    """What was planned.

    Attributes:
        design: `study.yaml`, read.
        data: Fingerprint of the images.
        cells: Its runs.
    """

    design: StudyDesign
    data: str
    cells: tuple[Cell, ...]

    @model_validator(mode="after")
    def _whole(self) -> StudyRecord:
        arms = self.design.arms
        controls = [arm.control for arm in arms.values() if arm.control]
        for name in (self.design.baseline, *controls, *(cell.arm for cell in self.cells)):
            if name not in arms:
                raise ValueError(f"unknown arm {name!r}")
        return self
