"""Write the table of docs/weights.md: what YOLOv5s keeps when one CBAM is inserted, for every place.

Each of the file's layers holds a number of its own, so that every value tells which layer it is from.
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
from attendet.models.builder import assemble
from attendet.models.bundled import bundled_text
from attendet.models.planning import plan_model
from attendet.models.yaml.model_file import read_model_file
from attendet.weights.align.alignment import align

TARGET = Path(__file__).parents[1] / "docs" / "weights.md"
MARKS = ("<!-- insertion table: begin -->", "<!-- insertion table: end -->")
ROWS = 24  # of YOLOv5 before Detect
HEADER = """| CBAM as row | before | by structure | by name and shape | of these in a wrong layer |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Line:
    """What a model with one more row keeps of a file's tensors.

    Attributes:
        place: Number of the inserted row.
        before: Module of the row it is put before.
        total: Tensors of the file.
        structure: How many find their own layer by structure.
        named: How many are taken by name and shape.
        misplaced: How many of those belong to another layer.
    """

    place: int
    before: str
    total: int
    structure: int
    named: int
    misplaced: int


def inserted(document: Mapping[str, Any], place: int, row: list[Any]) -> dict[str, Any]:
    """Return a model file with one more row that all readers of the row before it read instead.

    Args:
        document: The model file.
        place: Number of the new row.
        row: The new row, which reads the one before it.
    """

    def moved(source: int) -> int:
        return source + (source >= max(place - 1, 0)) if source >= 0 else source

    backbone = len(document["backbone"])
    rows = [*document["backbone"], *document["head"]]
    later = [
        [[moved(source) for source in old[0]] if isinstance(old[0], list) else moved(old[0]), *old[1:]]
        for old in rows[place:]
    ]
    rows = [*rows[:place], row, *later]
    end = backbone + (place <= backbone)
    return {**document, "backbone": rows[:end], "head": rows[end:]}


def shapes(document: Mapping[str, Any], classes: int = 80) -> dict[str, Tensor]:
    """Return the state dict of a model file, filled with -1; nothing is computed."""
    with warnings.catch_warnings(), torch.device("meta"):
        # Attention on three channels has a narrow bottleneck, and that is not the question here.
        warnings.simplefilter("ignore", AttendetWarning)
        state = assemble(
            plan_model(read_model_file(yaml.safe_dump(dict(document)), "model"), num_classes=classes)
        ).state_dict()
    return {key: torch.full(value.shape, -1, dtype=value.dtype, device="cpu") for key, value in state.items()}


def numbered(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict in which every tensor is full of its own place in the order."""
    return {key: torch.full_like(value, place) for place, (key, value) in enumerate(state.items())}


def own_place(key: str, place: int) -> str:
    """Return where a tensor belongs after a row was inserted: `model.9.…` is `model.10.…`."""
    model, row, rest = key.split(".", 2)
    return f"{model}.{int(row) + (int(row) >= place)}.{rest}"


def line(document: Mapping[str, Any], file: Mapping[str, Tensor], place: int) -> Line:
    """Return what a model keeps that has CBAM at a place."""
    row = [-1, 1, "CBAM", [3, 1] if place == 0 else []]
    model = shapes(inserted(document, place, row))
    by_structure = align(model, file).values
    by_name = {key: value for key, value in file.items() if key in model and model[key].shape == value.shape}
    structure, named = (
        sum(own in taken and torch.equal(taken[own], file[key]) for key in file for own in [own_place(key, place)])
        for taken in (by_structure, by_name)
    )
    before = [*document["backbone"], *document["head"]][place]
    return Line(place, before[2], len(file), structure, len(by_name), len(by_name) - named)


def table() -> str:
    """Return the table."""
    document = yaml.safe_load(bundled_text("yolov5s"))
    file = numbered(shapes(document))
    lines = [line(document, file, place) for place in range(ROWS + 1)]
    return HEADER + "".join(
        f"| {row.place} | {row.before} | {_share(row.structure, row.total)} | {_share(row.named, row.total)} | "
        f"{row.misplaced} |\n"
        for row in lines
    )


def page() -> str:
    """Return the whole page."""
    return between_marks(TARGET, MARKS, table())


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.0f} %)"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
