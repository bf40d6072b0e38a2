"""Match the rows of a model file with the rows of a layout, by the cheapest insertions and replacements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from attendet.attention.catalog import attentions
from attendet.models.composites.block_names import joins_maps
from attendet.models.lint.layouts import LAYERS, Layout, Role
from attendet.models.planning import ModelPlan

_MAX_MATCHES = 64
_TOLERANCE = 0.1

# The role of a row in the file, or its kind if it cannot have a role. An `unknown join` reads several rows.
RowClass: TypeAlias = Role | Literal["attention", "layer", "unknown", "unknown join"]

# Costs of inserted rows. Attention is inserted most often, and so are blocks that few forks have.
_INSERTION_COSTS: dict[RowClass, float] = {
    "attention": 0,
    "unknown": 1,
    "layer": 1.5,
    "conv": 1.5,
    "block": 1.5,
    "pool": 1.5,
}
_CONTAINED_ATTENTION_COST = 1


@dataclass(frozen=True)
class LayoutMatch:
    """A way to get the rows of a file from the rows of a layout by insertions and replacements.

    Attributes:
        layout: The layout.
        rows: The row of the file in the place of each row of the layout.
        cost: Cost of the insertions and replacements; 0 if only attention rows were inserted.
    """

    layout: Layout
    rows: tuple[int, ...]
    cost: float

    @property
    def inserted(self) -> frozenset[int]:
        """Return the rows of the file that were inserted."""
        return frozenset(range(self.rows[-1] + 1)) - frozenset(self.rows)


def match_layouts(plan: ModelPlan, layouts: Sequence[Layout]) -> list[LayoutMatch]:
    """Return the cheapest matches of a file with layouts; none if rows of all layouts have no counterpart.

    Several matches are equally cheap if, for example, either of two adjacent attention rows may replace a block.
    """
    classes: list[RowClass] = [_row_class(plan, row) for row in range(len(plan.rows))]
    insertions = [_insertion_cost(plan, row, found) for row, found in enumerate(classes)]
    joins = sum(found in ("join", "unknown join") for found in classes)
    matches: list[LayoutMatch] = []
    for layout in layouts:
        if joins == sum(row.role == "join" for row in layout.rows) and len(layout.rows) <= len(classes):
            matches += _matches(classes, insertions, layout)
    cheapest = min((match.cost for match in matches), default=0.0)
    return [match for match in matches if match.cost == cheapest]


def _matches(classes: Sequence[RowClass], insertions: Sequence[float], layout: Layout) -> list[LayoutMatch]:
    rows, total = len(layout.rows), len(classes)
    pairs = [[_match_cost(row.role, found) for found in classes] for row in layout.rows]
    # costs[i][j]: cost of matching the rows of the layout from i with the rows of the file from j.
    costs = [[math.inf] * (total + 1) for _ in range(rows + 1)]
    costs[rows][total] = 0.0
    for i in range(rows - 1, -1, -1):
        # Every row of the layout needs a row of the file.
        for j in range(total - rows + i, i - 1, -1):
            costs[i][j] = min(pairs[i][j] + costs[i + 1][j + 1], insertions[j] + costs[i][j + 1])
    cost = costs[0][0]
    if cost > rows / 2:
        return []

    def extend(i: int, j: int) -> Iterator[tuple[int, ...]]:
        if i == rows:
            yield ()
            return
        if costs[i][j] == pairs[i][j] + costs[i + 1][j + 1]:
            yield from ((j, *rest) for rest in extend(i + 1, j + 1))
        if costs[i][j] == insertions[j] + costs[i][j + 1]:
            yield from extend(i, j + 1)

    return [LayoutMatch(layout, found, cost) for found in islice(extend(0, 0), _MAX_MATCHES)]


def is_attention(plan: ModelPlan, row: int) -> bool:
    """Return whether a row is an attention module, also if its arguments are wrong."""
    planned = plan.rows[row]
    return planned.kind == "gate" or (planned.kind is None and planned.row.module in attentions)


def _match_cost(role: Role, found: RowClass) -> float:
    """Return the cost of a row of the file in place of a row of the layout."""
    if found == role:
        return 0
    if role == "join":
        return 1 if found == "unknown join" else math.inf
    if role in LAYERS:
        return 2 if found == "attention" else 1 if found in (*LAYERS, "layer", "unknown") else math.inf
    return 2 if found == "unknown" and role != "head" else math.inf


def _insertion_cost(plan: ModelPlan, row: int, found: RowClass) -> float:
    spec = plan.rows[row].spec
    cost = _INSERTION_COSTS.get(found, math.inf)
    return _CONTAINED_ATTENTION_COST if found != "attention" and cost < math.inf and spec and spec.options else cost


def _row_class(plan: ModelPlan, row: int) -> RowClass:
    planned = plan.rows[row]
    if row == len(plan.rows) - 1:
        return "head"
    if len(planned.row.sources) > 1:
        return "join" if joins_maps(planned.row.module) else "unknown join"
    if is_attention(plan, row):
        return "attention"
    return "unknown" if planned.kind is None else _layer_class(plan, row)


def _layer_class(plan: ModelPlan, row: int) -> RowClass:
    planned = plan.rows[row]
    # The factor does not depend on the size of the input, which may be an assumption.
    factor = plan.stride(row) / plan.stride(planned.row.sources[0].row)
    if abs(factor - 1) > _TOLERANCE:
        return "down" if factor > 1 else "up"
    name = planned.row.module.lower()
    if name.startswith("spp"):
        return "pool"
    if planned.kind == "widen+repeat":
        return "block"
    return "conv" if "conv" in name else "layer"
