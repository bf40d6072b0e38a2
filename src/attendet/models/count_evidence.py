"""The parameter counts of a model that a fork built: from its printed table, from a total, or from a checkpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from attendet.blocks.conv import Conv
from attendet.errors import ModelFileError, OptionError
from attendet.models.printed_table import PrintedTable, load_printed_table
from attendet.models.yaml.model_file import ModelFile
from attendet.models.yaml.row_planning import PlannedRow
from attendet.registry import normalize_name
from attendet.utils.shape_propagation import ShapePropagation

Like: TypeAlias = "str | os.PathLike[str] | int | PrintedTable | Mapping[str, Tensor]"

# Tensors of a state dict that a fork does not learn, or does not have.
_NOT_COUNTED = frozenset(
    ("running_mean", "running_var", "num_batches_tracked", "anchors", "anchor_grid", "range", "strength", "in_order")
)
# Wrappers and training scripts put names in front of the network.
_KEY = re.compile(r"(?:^|\.)model\.(?P<row>\d+)\.(?P<name>.+)$")


@dataclass(frozen=True)
class ForkCounts:
    """The parameter counts of a model that a fork built.

    Attributes:
        source: Origin of the counts, for messages.
        rows: Number of values by row; empty if only the total is known.
        total: Number of values of the model; None if only the rows are known.
        kind: The values that are counted: learned `parameters`; the same after batch norms were merged into their
            convolutions (`fused`); or `tensors` of a state dict.
        num_classes: Number of classes of the model; None for that of the file.
    """

    source: str
    rows: Mapping[int, int]
    total: int | None = None
    kind: Literal["parameters", "fused", "tensors"] = "parameters"
    num_classes: int | None = None

    def of_row(self, planned: PlannedRow) -> int:
        """Return the number of values of a row as attendet reads it, counted in the same way."""
        if self.kind == "parameters" or planned.spec is None:
            return planned.parameters
        with torch.device("meta"), ShapePropagation():
            module = planned.create_module()
        if self.kind == "tensors":
            return _count({f"model.0.{key}": tensor for key, tensor in module.state_dict().items()}).get(0, 0)
        # A batch norm has a weight and a bias per channel; the merged convolution has a bias.
        merged = sum(child.conv.out_channels for child in module.modules() if isinstance(child, Conv))
        return planned.parameters - merged


def fork_counts(like: Like, file: ModelFile) -> ForkCounts:
    """Return the parameter counts of a fork's model, after a check that it was built from the same rows.

    Args:
        like: The table that the fork printed for this file (a text file, such as a log), the total number of
            parameters, or a state dict with keys `model.{row}.…`.
        file: The model file.

    Raises:
        ModelFileError: If the table or the state dict belongs to another file.
        OptionError: If `like` cannot be read, or has no counts.

    Example:
        >>> from attendet.models.yaml.lookup import load_model_file
        >>> fork_counts("7,235,389", load_model_file("yolov5s")).total
        7235389
    """
    if isinstance(like, Mapping):
        return _counts_of_tensors(like, file)
    table = like if isinstance(like, PrintedTable) else load_printed_table(like)
    if table.rows:
        _require_rows(file, len(table.rows), "printed table")
    for row, printed in zip(file.rows, table.rows, strict=False):
        if normalize_name(row.module.rpartition(".")[2]) != normalize_name(printed.module):
            message = f"row {row.index} is {printed.module} in the printed table, but {row.module} in the file"
            raise ModelFileError(message, where=row.location, remedy="use the table of this model file")
    rows = {index: row.parameters for index, row in enumerate(table.rows)}
    kind = "fused" if table.is_fused and not rows else "parameters"
    return ForkCounts("the printed table" if rows else "the fork's model", rows, table.total, kind, table.num_classes)


def _counts_of_tensors(tensors: Mapping[str, Tensor], file: ModelFile) -> ForkCounts:
    counts = _count(tensors)
    if not counts:
        raise OptionError("`like` must have tensors with keys model.{row}.…, got none of them")
    _require_rows(file, max(counts) + 1, "checkpoint")
    return ForkCounts("the checkpoint", counts, kind="tensors", num_classes=_num_classes(tensors, file))


def _require_rows(file: ModelFile, count: int, source: str) -> None:
    if count != len(file.rows):
        message = f"the {source} has {count} rows, but the file has {len(file.rows)}"
        raise ModelFileError(message, where=file.rows[-1].location, remedy=f"use the {source} of this model file")


def _count(tensors: Mapping[str, Tensor]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for key, tensor in tensors.items():
        match = _KEY.search(key)
        if match and match["name"].rpartition(".")[2] not in _NOT_COUNTED:
            counts[int(match["row"])] = counts.get(int(match["row"]), 0) + tensor.numel()
    return counts


def _num_classes(tensors: Mapping[str, Tensor], file: ModelFile) -> int | None:
    """Return the number of classes of the head; with anchors, its outputs are anchors times (classes + 5)."""
    last = len(file.rows) - 1
    anchors = file.anchors if isinstance(file.anchors, int) else len(file.anchors[0]) if file.anchors else 0
    for key, tensor in tensors.items():
        match = _KEY.search(key)
        if not match or int(match["row"]) != last or tensor.ndim != 1:
            continue
        if match["name"] == "m.0.bias" and anchors:
            classes, rest = divmod(len(tensor), anchors)
            return classes - 5 if not rest and classes > 5 else None
        if match["name"] == "cv3.0.2.bias" and not anchors:
            return len(tensor) or None
    return None
