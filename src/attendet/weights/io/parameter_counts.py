"""What a fork printed or trained, from which the readings of attention rows follow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from attendet.models.printed_table import PrintedTable, load_printed_table
from attendet.weights.formats.reader import read_checkpoint
from attendet.weights.io.opening import resolve_weights_path

_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors")


def read_like(source: str | os.PathLike[str]) -> PrintedTable | Mapping[str, Tensor]:
    """Read the table that a fork printed, a total, or the tensors of its checkpoint.

    Args:
        source: Path of a text file such as a log, the total number of parameters, a weights file, or the folder of a
            run.

    Raises:
        OptionError: If a text file cannot be read, or has neither a table nor a total.
        WeightsError: If a weights file cannot be read.

    Example:
        >>> read_like("7,235,389").total
        7235389
    """
    path = Path(source)
    if path.suffix.lower() in _WEIGHTS or path.is_dir():
        return read_checkpoint(resolve_weights_path(path)).tensors
    return load_printed_table(source)
