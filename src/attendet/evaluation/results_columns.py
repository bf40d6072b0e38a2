"""Columns of `results.csv`, the losses and metrics of a run by epoch."""

from __future__ import annotations

from collections.abc import Iterable


def loss_parts(columns: Iterable[str], split: str) -> list[str]:
    """Return the names of the parts of the loss among the columns of `results.csv`; they depend on the head.

    Args:
        columns: Names of columns.
        split: "train" or "val".

    Example:
        >>> loss_parts(["epoch", "train/box_loss", "train/dfl_loss", "val/box_loss"], "train")
        ['box', 'dfl']
    """
    start, end = f"{split}/", "_loss"
    return [name[len(start) : -len(end)] for name in columns if name.startswith(start) and name.endswith(end)]
