"""The record of a run in a study, from the run's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from attendet.errors import DataError, Location
from attendet.study.design.grid import Cell
from attendet.study.records import MAX_ERROR_LENGTH, CellRecord, ClassScores, DetectionScores
from attendet.training.run_folder import RunFolder, RunRecord, read_results, read_run
from attendet.utils.records import describe_mismatch
from attendet.utils.text import shorten


def cell_record(
    cell: Cell,
    run: RunFolder,
    *,
    train: Mapping[str, Any] | None = None,
    data: str | None = None,
) -> CellRecord:
    """Return the record of a finished run.

    Args:
        cell: The run in the study's grid.
        run: Folder of the run.
        train: Metrics of the best weights on the training images, from `Metrics.to_dict`.
        data: Fingerprint of the images of the study.

    Raises:
        DataError: If the run is not finished, or its files are damaged.
    """
    record = read_run(run)
    where = Location(str(run.record))
    if not record.finished or record.metrics is None:
        raise DataError("the run is not finished", where=where, remedy="resume it")
    try:
        return CellRecord(
            key=cell.key,
            arm=cell.arm,
            seed=cell.seed,
            fraction=cell.fraction,
            status="finished",
            history=_history(run.results),
            best_epoch=record.best_epoch,
            best=_scores(record.metrics),
            train=_scores(train) if train is not None else None,
            parameters=record.model["parameters"],
            gflops=record.model["gflops"],
            images=_images(record),
            seconds=dict(record.seconds),
            device=record.device,
            versions=dict(record.versions),
            initialization=dict(record.initialization),
            order=record.order or None,
            identity=cell.identity or None,
            data=data,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    except (ValidationError, KeyError, TypeError) as error:
        reason = describe_mismatch(error) if isinstance(error, ValidationError) else str(error)
        raise DataError(f"not the record of a training run: {reason}", where=where) from error


def failed_record(cell: Cell, error: str, *, diverged: bool = False, data: str | None = None) -> CellRecord:
    """Return the record of a run that failed or diverged.

    Args:
        cell: The run in the study's grid.
        error: Error message.
        diverged: Loss or weights became infinite or NaN.
        data: Fingerprint of the images of the study.

    Example:
        >>> failed_record(Cell("cbam", 0, 1.0, "0a"), "out of memory").status
        'failed'
    """
    return CellRecord(
        key=cell.key,
        arm=cell.arm,
        seed=cell.seed,
        fraction=cell.fraction,
        status="diverged" if diverged else "failed",
        error=shorten(error, MAX_ERROR_LENGTH),
        identity=cell.identity or None,
        data=data,
    )


def _history(path: Path) -> dict[str, list[float | None]]:
    rows = read_results(path)
    return {column: [_number(row[column]) for row in rows] for column in rows[0]} if rows else {}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _scores(metrics: Mapping[str, Any]) -> DetectionScores:
    fields = {name: metrics[name] for name in DetectionScores.model_fields}
    classes = [{name: each[name] for name in ClassScores.model_fields} for each in metrics["per_class"]]
    return DetectionScores.model_validate({**fields, "per_class": classes})


def _images(record: RunRecord) -> dict[str, int]:
    return {split: numbers["images"] for split, numbers in record.data.items()}
