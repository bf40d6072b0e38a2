"""Write the table of docs/weights.md: the tensors that YOLOv5s keeps when one CBAM row is inserted, for every position.

Every tensor of the simulated file is filled with a number of its own, so that each loaded value identifies its source.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from marks import between_marks
from torch import Tensor

from attendet.errors import AttendetWarning
from attendet.models.builder import build_model
from attendet.models.bundled import bundled_text
from attendet.models.yaml.model_file import read_model_file
from attendet.weights.align.alignment import align_tensors

TARGET = Path(__file__).parents[1] / "docs" / "weights.md"
MARKS = ("<!-- insertion table: begin -->", "<!-- insertion table: end -->")
ROWS = 24  # rows of YOLOv5 before Detect
HEADER = """| CBAM as row | before | kept by structure | loaded by name and shape | of these, in a wrong layer |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class InsertionResult:
    """The tensors of a file that a model with one inserted row takes.

    Attributes:
        row: Number of the inserted row.
        before: Module of the row that it is inserted before.
        total: Number of tensors in the file.
        kept: Number of tensors that alignment by structure loads into their own layer.
        loaded_by_name: Number of tensors that loading by name and shape loads.
        misplaced: Number of these that belong to another layer.
    """

    row: int
    before: str
    total: int
    kept: int
    loaded_by_name: int
    misplaced: int


def insert_row(document: Mapping[str, Any], number: int, row: list[Any]) -> dict[str, Any]:
    """Return a model file with an inserted row; every row that read the row before it reads the new row instead.

    Args:
        document: The model file.
        number: Number of the new row.
        row: The new row, which reads the row before it.
    """

    def renumbered(source: int) -> int:
        return source + (source >= max(number - 1, 0)) if source >= 0 else source

    backbone = len(document["backbone"])
    rows = [*document["backbone"], *document["head"]]
    later = [
        [[renumbered(source) for source in old[0]] if isinstance(old[0], list) else renumbered(old[0]), *old[1:]]
        for old in rows[number:]
    ]
    rows = [*rows[:number], row, *later]
    end = backbone + (number <= backbone)
    return {**document, "backbone": rows[:end], "head": rows[end:]}


def blank_state(document: Mapping[str, Any], num_classes: int = 80) -> dict[str, Tensor]:
    """Return the state dict of a model file with every value set to -1, without initializing the model."""
    with warnings.catch_warnings(), torch.device("meta"):
        # The warning is about the narrow bottleneck of attention on three channels, which does not matter here.
        warnings.simplefilter("ignore", AttendetWarning)
        file = read_model_file(yaml.safe_dump(dict(document)), "model")
        state = build_model(file, num_classes).detector.state_dict()
    return {key: torch.full(value.shape, -1, dtype=value.dtype, device="cpu") for key, value in state.items()}


def numbered_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict in which every tensor is filled with its position in the order of the keys."""
    return {key: torch.full_like(value, number) for number, (key, value) in enumerate(state.items())}


def moved_key(key: str, number: int) -> str:
    """Return the key that a tensor has after a row is inserted: `model.9.…` becomes `model.10.…`."""
    model, row, rest = key.split(".", 2)
    return f"{model}.{int(row) + (int(row) >= number)}.{rest}"


def insertion_result(document: Mapping[str, Any], file: Mapping[str, Tensor], number: int) -> InsertionResult:
    """Return the tensors of a file that a model with CBAM as an additional row takes."""
    row = [-1, 1, "CBAM", [3, 1] if number == 0 else []]
    model = blank_state(insert_row(document, number, row))
    by_structure = align_tensors(model, file).values
    by_name = {key: value for key, value in file.items() if key in model and model[key].shape == value.shape}
    kept, well_named = (
        sum(own in loaded and torch.equal(loaded[own], file[key]) for key in file for own in [moved_key(key, number)])
        for loaded in (by_structure, by_name)
    )
    before = [*document["backbone"], *document["head"]][number]
    return InsertionResult(number, before[2], len(file), kept, len(by_name), len(by_name) - well_named)


def table() -> str:
    """Return the table as Markdown."""
    document = yaml.safe_load(bundled_text("yolov5s"))
    file = numbered_state(blank_state(document))
    results = [insertion_result(document, file, number) for number in range(ROWS + 1)]
    return HEADER + "".join(
        f"| {result.row} | {result.before} | {_fraction(result.kept, result.total)} | "
        f"{_fraction(result.loaded_by_name, result.total)} | {result.misplaced} |\n"
        for result in results
    )


def page() -> str:
    """Return the whole page with a new table."""
    return between_marks(TARGET, MARKS, table())


def _fraction(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.0f} %)"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
