"""The records of a study: its plan, one record for each run, and costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, model_validator

from attendet.study.design.grid import Cell
from attendet.study.design.schema import Metric, StudyDesign
from attendet.utils.settings import NonNegative, StrictModel

# Longest error message in a record, in characters; a traceback of a library can be much longer.
MAX_ERROR_LENGTH = 2000
# The columns of results.csv that hold the deciding metrics.
COLUMNS: Mapping[Metric, str] = {
    "map50_95": "metrics/mAP_0.5:0.95",
    "map50": "metrics/mAP_0.5",
    "precision": "metrics/precision",
    "recall": "metrics/recall",
}


class ClassScores(StrictModel):
    """Scores of one class; fields as in `attendet.evaluation.metrics.ClassMetrics`."""

    name: str
    images: int
    objects: int
    precision: FiniteFloat | None
    recall: FiniteFloat | None
    f1: FiniteFloat | None
    ap50: FiniteFloat | None
    ap50_95: FiniteFloat | None


class DetectionScores(StrictModel):
    """Scores of all classes; fields as in `attendet.evaluation.metrics.Metrics`."""

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
    """The record of a run that finished, failed, or diverged.

    Attributes:
        key: Key of the run, which is also the name of the record's file.
        arm: Name of the arm at the time of the run.
        seed: Seed of the run.
        fraction: Fraction of the training images, 0-1, before the arm's own fraction.
        status: `finished`; `failed` after an error of the machine or the user, which the next call tries again; or
            `diverged` if loss or weights became infinite or NaN, which is an outcome.
        error: Error message of a failed or diverged run.
        history: One value per epoch for each column of results.csv; None for epochs that were not validated.
        best_epoch: The epoch, from 1, with the best weights.
        best: Scores of the best weights on the validation images.
        train: Scores of the best weights on the unaugmented training images; None if they were not measured.
        parameters: Number of learned parameters.
        gflops: Billions of floating-point operations per image, at the training size.
        images: Number of images by split.
        seconds: Duration of the whole run and of its parts.
        device: Name of the device.
        versions: Versions of all packages that affect the numbers.
        initialization: Fingerprint of the initial weights of each layer outside attention, by its path.
        order: Fingerprint of the order of the images.
        identity: Hash of the arm, as in `Cell`; None in records of older versions.
        data: Fingerprint of the images, as in `StudyRecord`; None in records of older versions.
        ended: Time at which the record was written, ISO 8601 in UTC; None in records of earlier versions.
    """

    key: str
    arm: str
    seed: int
    fraction: Annotated[float, Field(gt=0, le=1)]
    status: Literal["finished", "failed", "diverged"]
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
    ended: str | None = None
    identity: str | None = None
    data: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> CellRecord:
        if len({len(column) for column in self.history.values()}) > 1:
            raise ValueError("columns of the history differ in length")
        if self.status == "finished" and (self.best is None or self.parameters is None or self.gflops is None):
            raise ValueError("a finished run must have best, parameters, and gflops")
        measured = {column for column, values in self.history.items() if any(value is not None for value in values)}
        if self.status == "finished" and not measured.issuperset(COLUMNS.values()):
            raise ValueError("a finished run must have validated epochs")
        return self


class Latency(StrictModel):
    """Time of one pass from images of the training size to detections.

    Attributes:
        batch: Batch size.
        median_ms: Median in milliseconds per batch.
        low_ms: Lower quartile in milliseconds.
        high_ms: Upper quartile in milliseconds.
        rounds: Number of timed passes.
    """

    batch: PositiveInt
    median_ms: NonNegative
    low_ms: NonNegative
    high_ms: NonNegative
    rounds: PositiveInt


class ArmCosts(StrictModel):
    """Costs of one arm.

    Attributes:
        parameters: Number of learned parameters.
        gflops: Billions of floating-point operations per image.
        activation_bytes: Memory that training stores of one image for the backward pass, without weights.
        peak_bytes: Peak memory of inference at the largest measured batch; None if unknown.
        latency: Latency by batch size.
    """

    parameters: NonNegativeInt
    gflops: NonNegative
    activation_bytes: NonNegativeInt | None = None
    peak_bytes: NonNegativeInt | None = None
    latency: tuple[Latency, ...] = ()


class CostRecord(StrictModel):
    """Costs of all arms, measured in turns on one device, so that a machine that slows down affects all arms.

    Attributes:
        device: Name of the device.
        imgsz: Side of the baseline's images in pixels.
        arms: Costs by name of the arm.
    """

    device: str
    imgsz: int
    arms: dict[str, ArmCosts]


class StudyRecord(StrictModel):
    """The plan of a study.

    Attributes:
        design: The content of study.yaml.
        data: Fingerprint of the images.
        cells: All planned runs.
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
