"""Structural faults of a model file: rows without effect, and wrong inputs of the head.

Files with these faults can be built and trained without an error: a row without effect gets no gradient, and the
strides of the levels are still 8, 16, and 32.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attendet.attention.catalog import attentions
from attendet.models.composites.block_names import find_block
from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan


def structural_faults(plan: ModelPlan) -> list[Finding]:
    """Return the faults in how the rows are connected, in the order of the rows, and which rows cannot be checked."""
    return [*_dead_rows(plan), *_head_faults(plan), *_unchecked_rows(plan)]


def live_rows(plan: ModelPlan, changed: Mapping[tuple[int, int], int] = MappingProxyType({})) -> set[int]:
    """Return the indices of the rows that the head depends on, and of the head itself.

    Args:
        plan: The file.
        changed: Rows to read in place of those in the file, by the reading row and the position among its sources.
    """
    live: set[int] = set()
    pending = [len(plan.rows) - 1]
    while pending:
        row = pending.pop()
        if row >= 0 and row not in live:
            live.add(row)
            sources = plan.rows[row].row.sources
            pending += [changed.get((row, position), source.row) for position, source in enumerate(sources)]
    return live


def _dead_rows(plan: ModelPlan) -> list[Finding]:
    live = live_rows(plan)
    findings = []
    for planned in plan.rows:
        row = planned.row
        if row.index in live:
            continue
        cost = f", so its {planned.parameters:,} parameters never get a gradient" if planned.parameters else ""
        head = plan.rows[-1].row.module
        message = f"{row.module} has no effect: {head} does not depend on it{cost}"
        kind = "dead-attention" if planned.kind == "gate" else "dead-row"
        findings.append(
            Finding(kind, message, f"let {head} or a Concat read it, or remove it", row.location, row.index)
        )
    return findings


def _head_faults(plan: ModelPlan) -> list[Finding]:
    head = plan.rows[-1].row
    block = find_block(head.module)
    if block is None or block.rule.kind != "detect":
        # Heads of other families may read a stride twice, or a Concat.
        return []
    sources = [source.row for source in head.sources]
    findings = []
    strides = [plan.stride(row) for row in sources]
    known = [plan.stride(row) for row in sources if "size" not in plan.unknown(row)]
    listed = ", ".join("unknown" if "size" in plan.unknown(row) else f"{plan.stride(row):g}" for row in sources)
    if len(set(known)) < len(known):
        message = f"Detect reads {_rows_text(sources)} with strides {listed}, which are not all different"
        findings.append(Finding("detect-strides", message, "read one row per stride", head.location, head.index))
    elif known == strides and not _anchors_grow_with(strides, plan):
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


def _unchecked_rows(plan: ModelPlan) -> list[Finding]:
    """Return a remark about the rows that have an unknown input, because a row before them cannot be built."""
    causes: dict[int, frozenset[int]] = {-1: frozenset()}
    unchecked = {}
    for planned in plan.rows:
        inherited = frozenset().union(*(causes[source.row] for source in planned.row.sources))
        is_cause = any(finding.kind in ("unbuildable", "unequal-concat") for finding in planned.findings)
        if inherited and not is_cause:
            unchecked[planned.row.index] = inherited
        own = frozenset({planned.row.index}) if is_cause else frozenset[int]()
        causes[planned.row.index] = inherited | own if planned.unknown else frozenset()
    if not unchecked:
        return []
    roots = sorted(frozenset().union(*unchecked.values()))
    rows = [plan.rows[row].row for row in roots]
    if all(find_block(row.module) is None and row.module not in attentions for row in rows):
        reason = "whose block is unknown" if len(roots) == 1 else "whose blocks are unknown"
        remedy = "register the block to check them" if len(roots) == 1 else "register the blocks to check them"
    else:
        reason = "which cannot be built"
        remedy = "correct this row first" if len(roots) == 1 else "correct these rows first"
    who = "it depends" if len(unchecked) == 1 else "they depend"
    message = f"{_ranges_text(list(unchecked))} cannot be checked, because {who} on {_rows_text(roots)}, {reason}"
    return [Finding("unchecked", message, remedy, rows[0].location, roots[0])]


def _ranges_text(rows: list[int]) -> str:
    """Return sorted rows with runs as ranges: `rows 20-24, 26`."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and runs[-1][-1] == row - 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    listed = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"row {listed}" if len(rows) == 1 else f"rows {listed}"


def _anchors_grow_with(strides: list[float], plan: ModelPlan) -> bool:
    anchors = plan.file.anchors
    if isinstance(anchors, int) or not anchors:
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
