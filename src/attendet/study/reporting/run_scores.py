"""The scores of one run that are compared between arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from attendet.evaluation.results_columns import loss_parts
from attendet.study.design.schema import Metric
from attendet.study.records import COLUMNS, CellRecord


def last_epochs(record: CellRecord, metric: Metric, count: int) -> float:
    """Return the mean of the metric over the last validated epochs.

    No epoch is selected by its score, so the mean is unbiased. The score of the best epoch is biased upward, because
    the validation images select the epoch.

    Args:
        record: A finished run.
        metric: The metric.
        count: Number of last epochs.
    """
    measured = [value for value in record.history[COLUMNS[metric]] if value is not None]
    return fmean(measured[-count:])


def best_epoch(record: CellRecord, metric: Metric) -> float | None:
    """Return the metric of the best weights."""
    return getattr(record.best, metric, None)


def gap(record: CellRecord, metric: Metric) -> float | None:
    """Return the metric of the best weights on training images minus validation images, or None if not measured."""
    if record.train is None or record.best is None:
        return None
    return getattr(record.train, metric) - getattr(record.best, metric)


def loss_gap(record: CellRecord, count: int) -> float | None:
    """Return validation loss minus training loss over the last epochs, or None if one of them is missing.

    The training loss is measured on augmented images, which are harder. So the gap is often negative, and only
    differences between arms are meaningful.
    """
    gaps = [
        validation - train
        for train, validation in zip(*(_losses(record, split) for split in ("train", "val")), strict=False)
        if train is not None and validation is not None
    ]
    return fmean(gaps[-count:]) if gaps else None


def by_seed(records: Iterable[CellRecord], metric: Metric, count: int) -> dict[int, float]:
    """Return the scores of finished runs by seed."""
    return {record.seed: last_epochs(record, metric, count) for record in records if record.status == "finished"}


def curves(records: Sequence[CellRecord], metric: Metric) -> Mapping[int, list[float]]:
    """Return the scores of all runs that reached an epoch, by epoch from 1."""
    scores: dict[int, list[float]] = {}
    for record in records:
        for epoch, value in enumerate(record.history.get(COLUMNS[metric], []), start=1):
            if value is not None:
                scores.setdefault(epoch, []).append(value)
    return dict(sorted(scores.items()))


def _losses(record: CellRecord, split: str) -> list[float | None]:
    columns = [record.history[f"{split}/{part}_loss"] for part in loss_parts(record.history, split)]
    return [
        None if None in row else sum(value for value in row if value is not None) for row in zip(*columns, strict=False)
    ]
