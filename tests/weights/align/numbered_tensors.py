"""Helpers for alignment tests, in which every tensor is filled with a number that identifies its layer."""

from collections.abc import Mapping
from typing import Any

import torch
import yaml
from torch import Tensor

from attendet.models.bundled import bundled_text
from attendet.weights.align.alignment import AlignedTensors
from tests.helpers.tools import load_tool

tool = load_tool("insertion_table")
YOLOV5S: dict[str, Any] = yaml.safe_load(bundled_text("yolov5s"))


def replace_row(number: int, row: list[Any]) -> dict[str, Any]:
    """Return the model file of yolov5s with one row replaced."""
    rows = [*YOLOV5S["backbone"], *YOLOV5S["head"]]
    rows[number] = row
    return {**YOLOV5S, "backbone": rows[:10], "head": rows[10:]}


def row_of(key: str) -> int:
    """Return the number of the row that a key belongs to."""
    return int(key.split(".")[1])


def is_loaded(aligned: AlignedTensors, file: Mapping[str, Tensor], key: str, file_key: str | None = None) -> bool:
    """Return whether a key of the model takes the complete tensor of a key of the file, by default of the same key."""
    return key in aligned.values and torch.equal(aligned.values[key], file[file_key or key])


def blank(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with every value set to -1."""
    return {key: torch.full_like(value, -1) for key, value in state.items()}
