"""Structural faults of a model file: rows without effect, and wrong inputs of the head.

Files with these faults can be built and trained without an error: a row without effect gets no gradient, and the
strides of the levels are still 8, 16, and 32.
"""

from __future__ import annotations

from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan


def structural_faults(plan: ModelPlan) -> list[Finding]:
    """Return the faults in how the rows are connected, in the order of the rows."""
    return [*_dead_rows(plan), *_head_faults(plan)]


def live_rows(plan: ModelPlan) -> set[int]:
    """Return the indices of the rows that the head depends on, and of the head itself."""
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
    findings = []
    for planned in plan.rows:
        row = planned.row
        if row.index in live:
            continue
        cost = f", so its {planned.parameters:,} parameters never get a gradient" if planned.parameters else ""
        message = f"{row.module} has no effect: Detect does not depend on it{cost}"
        kind = "dead-attention" if planned.kind == "gate" else "dead-row"
        findings.append(Finding(kind, message, "let Detect or a Concat read it, or remove it", row.location, row.index))
    return findings


def _head_faults(plan: ModelPlan) -> list[Finding]:
    head = plan.rows[-1].row
    sources = [source.row for source in head.sources]
    findings = []
    strides = [plan.stride(row) for row in sources]
    listed = ", ".join(f"{stride:g}" for stride in strides)
    if len(set(strides)) < len(strides):
        message = f"Detect reads {_rows_text(sources)} with strides {listed}, which are not all different"
        findings.append(Finding("detect-strides", message, "read one row per stride", head.location, head.index))
    elif not _anchors_grow_with(strides, plan):
        message = f"Detect reads {_rows_text(sources)} with strides {listed}, but the anchors have another order"
        findings.append(
            Finding("detect-order", message, "write rows and anchors in the same order", head.location, head.index)
        )
    concats = [row for row in sources if row >= 0 and plan.rows[row].kind == "concat"]
    if concats:
        blocks = "the block that follows" if len(concats) == 1 else "the blocks that follow"
        message = f"Detect reads {_rows_text(concats)}, {'a Concat' if len(concats) == 1 else 'Concats'}, not {blocks}"
        readers = [reader for row in concats for reader in _only_readers(plan, row)[:1]]
        remedy = f"read {_rows_text(readers)}" if len(readers) == len(concats) else "insert a block in between"
        findings.append(Finding("detect-input", message, remedy, head.location, head.index))
    return findings


def _anchors_grow_with(strides: list[float], plan: ModelPlan) -> bool:
    anchors = plan.file.anchors
    if isinstance(anchors, int):
        return True
    areas = [sum(width * height for width, height in level) for level in anchors]
    by_stride = sorted(range(len(strides)), key=strides.__getitem__)
    ordered = [areas[level] for level in by_stride if level < len(areas)]
    return ordered == sorted(ordered)


def _only_readers(plan: ModelPlan, row: int) -> list[int]:
    """Return the rows, except for the head, whose only source is this row."""
    return [planned.row.index for planned in plan.rows[:-1] if [source.row for source in planned.row.sources] == [row]]


def _rows_text(rows: list[int]) -> str:
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {', '.join(map(str, rows))}"
