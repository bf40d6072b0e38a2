"""One run → the numbers that are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from attendet.study.design.schema import Metric
from attendet.study.records import COLUMNS, LOSSES, CellRecord


def last_epochs(record: CellRecord, metric: Metric, count: int) -> float:
    """Return the mean of the metric over the last epochs that were measured.

    No epoch is picked by what it gave, so chance has nothing to pick from. The best epoch is picked by the validation
    images themselves, and is too good by what luck adds.

    Args:
        record: A finished run.
        metric: Which.
        count: How many last epochs.
    """
    measured = [value for value in record.history[COLUMNS[metric]] if value is not None]
    return fmean(measured[-count:])


def best_epoch(record: CellRecord, metric: Metric) -> float | None:
    """Return the metric of the best weights."""
    return getattr(record.best, metric, None)


def gap(record: CellRecord, metric: Metric) -> float | None:
    """Return the metric on training images minus on validation images, of the best weights; None where not measured."""
    if record.train is None or record.best is None:
        return None
    return getattr(record.train, metric) - getattr(record.best, metric)


def loss_gap(record: CellRecord, count: int) -> float | None:
    """Return validation loss minus training loss over the last epochs; None where one of them is missing.

    Training loss is that of augmented images, which are harder; so it is often below 0, and only differences between
    arms mean something.
    """
    gaps = [
        validation - train
        # Without a column of losses there are none of that split.
        for train, validation in zip(*(_losses(record, split) for split in ("train", "val")), strict=False)
        if train is not None and validation is not None
    ]
    return fmean(gaps[-count:]) if gaps else None


def by_seed(records: Iterable[CellRecord], metric: Metric, count: int) -> dict[int, float]:
    """Return the scores of finished runs by seed."""
    return {record.seed: last_epochs(record, metric, count) for record in records if record.status == "finished"}


def curves(records: Sequence[CellRecord], metric: Metric) -> Mapping[int, list[float]]:
    """Return by epoch, from 1, what all finished runs that got so far measured."""
    found: dict[int, list[float]] = {}
    for record in records:
        for epoch, value in enumerate(record.history.get(COLUMNS[metric], []), start=1):
            if value is not None:
                found.setdefault(epoch, []).append(value)
    return dict(sorted(found.items()))


def _losses(record: CellRecord, split: str) -> list[float | None]:
    columns = [record.history.get(f"{split}/{loss}", []) for loss in LOSSES]
    return [
        None if None in row else sum(value for value in row if value is not None) for row in zip(*columns, strict=False)
    ]
