"""Faults of a whole model file: rows that lead nowhere, and what the head reads."""

from __future__ import annotations

from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan


def faults_of_structure(plan: ModelPlan) -> list[Finding]:
    """Return what is wrong with how the rows are joined, in the order of the rows.

    Such files build and train without a word: a dead row gets no gradient, and strides still print as 8, 16, 32.
    """
    return [*_dead_rows(plan), *_head(plan)]


def live_rows(plan: ModelPlan) -> set[int]:
    """Return the numbers of the rows that the head depends on, itself included."""
    live: set[int] = set()
    pending = [len(plan.rows) - 1]
    while pending:
        row = pending.pop()
        if row >= 0 and row not in live:
            live.add(row)
            pending += [source.row for source in plan.rows[row].row.sources]
    return live


def _dead_rows(plan: ModelPlan) -> list[Finding]:
    live = live_rows(plan)
    found = []
    for planned in plan.rows:
        row = planned.row
        if row.index in live:
            continue
        cost = f"; its {planned.parameters:,} parameters never get a gradient" if planned.parameters else ""
        what = f"{row.module} is dead, nothing that Detect reads depends on it{cost}"
        kind = "dead-attention" if planned.kind == "gate" else "dead-row"
        found.append(Finding(kind, what, "re-point Detect or a Concat to it, or leave it out", row.location, row.index))
    return found


def _head(plan: ModelPlan) -> list[Finding]:
    head = plan.rows[-1].row
    read = [source.row for source in head.sources]
    found = []
    strides = [plan.stride(row) for row in read]
    listed = ", ".join(f"{stride:g}" for stride in strides)
    if len(set(strides)) < len(strides):
        what = f"Detect reads {_rows(read)} at strides {listed}, one of them twice"
        found.append(Finding("detect-strides", what, "read one row per stride", head.location, head.index))
    elif not _anchors_grow_with(strides, plan):
        what = f"Detect reads {_rows(read)} at strides {listed}, and the anchors are not in that order"
        found.append(Finding("detect-order", what, "give rows and anchors in one order", head.location, head.index))
    joins = [row for row in read if row >= 0 and plan.rows[row].kind == "concat"]
    if joins:
        what = (
            f"Detect reads {_rows(joins)}, {'a Concat' if len(joins) == 1 else 'Concats'}, not the blocks that follow"
        )
        readers = [reader for row in joins for reader in _readers_of(plan, row)[:1]]
        remedy = f"read {_rows(readers)}" if len(readers) == len(joins) else "put a block between"
        found.append(Finding("detect-input", what, remedy, head.location, head.index))
    return found


def _anchors_grow_with(strides: list[float], plan: ModelPlan) -> bool:
    anchors = plan.file.anchors
    if isinstance(anchors, int):
        return True
    areas = [sum(width * height for width, height in level) for level in anchors]
    by_stride = sorted(range(len(strides)), key=strides.__getitem__)
    ordered = [areas[level] for level in by_stride if level < len(areas)]
    return ordered == sorted(ordered)


def _readers_of(plan: ModelPlan, row: int) -> list[int]:
    """Return the rows, other than the head, that read only this one."""
    return [p.row.index for p in plan.rows[:-1] if [source.row for source in p.row.sources] == [row]]


def _rows(numbers: list[int]) -> str:
    return f"row {numbers[0]}" if len(numbers) == 1 else f"rows {', '.join(map(str, numbers))}"
