"""Find and correct row numbers that an insertion shifted.

Inserting a row moves all later rows by one. A reference that was written before the insertion, such as
`Detect [17, 20, 23]`, then reads other rows than its author meant. These often have the same size, so no error follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice, product

from attendet.blocks.wiring import RuleKind
from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan
from attendet.models.yaml.model_file import RowSource

_MAX_INSERTED = 8
_MAX_STEPS = 200_000
_LAYERS: frozenset[RuleKind | None] = frozenset(("widen", "widen+repeat", "gate", None))


@dataclass(frozen=True)
class Reference:
    """An absolute row number in the `from` of a row.

    Attributes:
        row: Index of the row that reads.
        position: Position among the sources of the row, from 0.
        source: The row number, and the row that it refers to.
    """

    row: int
    position: int
    source: RowSource


def references(plan: ModelPlan) -> list[Reference]:
    """Return the absolute row numbers of a file in their order. Relative ones stay valid after an insertion."""
    return [
        Reference(planned.row.index, position, source)
        for planned in plan.rows
        for position, source in enumerate(planned.row.sources)
        if source.written >= 0
    ]


def shifted_references(plan: ModelPlan, original: ModelPlan) -> list[Finding]:
    """Return the references that have the same number as in the original file although rows were inserted before.

    Only files that consist of the rows of the original and attention rows, inserted or in place of other rows, can be
    compared with it. For all others, nothing is found.

    Args:
        plan: The file to check.
        original: The file into which the rows were inserted.
    """
    explanations = [_stale_references(plan, inserted, original) for inserted in _insertions(plan, original)[0]]
    # Of two adjacent attention rows, either may be the inserted one. The explanation with fewer faults is more likely.
    return min(explanations, key=len, default=[])


def _stale_references(plan: ModelPlan, inserted: Sequence[int], original: ModelPlan) -> list[Finding]:
    moved = _new_indices(plan, inserted)
    meant = {(moved[ref.row], ref.position): ref.source.written for ref in references(original)}
    stale: dict[int, list[int]] = {}
    for ref in references(plan):
        number = meant.get((ref.row, ref.position))
        if number is not None and ref.source.written == number != moved[number]:
            stale.setdefault(ref.row, []).append(number)
    return [_stale_row(plan, row, numbers, moved) for row, numbers in stale.items()]


def _stale_row(plan: ModelPlan, reader: int, numbers: list[int], moved: Mapping[int, int]) -> Finding:
    row = plan.rows[reader].row
    old, new = (", ".join(map(str, listed)) for listed in (numbers, [moved[number] for number in numbers]))
    message = f"{row.module} still reads {old}, the row numbers before rows were inserted"
    return Finding("shifted-index", message, f"read {new}", row.location, row.index)


def corrections(plan: ModelPlan, original: ModelPlan) -> Iterator[Mapping[Reference, int]]:
    """Yield corrections of the row numbers, the most likely first.

    The assumption is that the author inserted some of the attention rows and did not update some of the row numbers
    after them. If attention was inserted between a row and Detect, Detect may be meant to read the attention.

    Args:
        plan: The file to correct.
        original: The file into which the rows were inserted.

    Yields:
        The new row of each reference that changes.
    """
    refs = references(plan)
    head = len(plan.rows) - 1
    laterals = [ref for ref in refs if ref.row != head]
    detect = [ref for ref in refs if ref.row == head]
    insertions = chain(*_insertions(plan, original))
    candidates = chain.from_iterable(_pointings(plan, inserted, laterals, detect) for inserted in insertions)
    seen: list[Mapping[Reference, int]] = []
    for candidate in islice(candidates, _MAX_STEPS // (len(plan.rows) + len(refs))):
        changed = {ref: row for ref, row in candidate.items() if row != ref.source.row}
        if changed and changed not in seen and _is_consistent(plan, candidate):
            seen.append(changed)
            yield changed


def _pointings(
    plan: ModelPlan, inserted: tuple[int, ...], laterals: Sequence[Reference], detect: Sequence[Reference]
) -> Iterator[dict[Reference, int]]:
    indices = _new_indices(plan, inserted)
    moved = {ref: indices.get(ref.source.row, ref.source.row) for ref in (*laterals, *detect)}
    heads = [
        {ref: moved[ref] for ref in detect},
        {ref: _through_attention(plan, moved[ref]) for ref in detect},
        {ref: ref.source.row for ref in detect},
        {ref: _through_attention(plan, ref.source.row) for ref in detect},
    ]
    for choice in product(*([moved[ref], ref.source.row] for ref in laterals)):
        for head in heads:
            yield {**dict(zip(laterals, choice, strict=True)), **head}


def _through_attention(plan: ModelPlan, row: int) -> int:
    """Return the last row in a chain of attention rows that starts at a row, or the row itself."""
    for planned in plan.rows:
        if planned.kind == "gate" and [source.row for source in planned.row.sources] == [row]:
            row = planned.row.index
    return row


def _is_consistent(plan: ModelPlan, pointing: Mapping[Reference, int]) -> bool:
    """Return whether row numbers join maps of equal size, read one row per stride, and leave no row without effect.

    The factor by which a row shrinks its input does not depend on the input, so no module has to run.
    """
    pointed = {(ref.row, ref.position): row for ref, row in pointing.items()}
    strides: dict[int, float] = {-1: 1.0}
    read: set[int] = set()
    for planned in plan.rows:
        row = planned.row
        sources = [pointed.get((row.index, position), source.row) for position, source in enumerate(row.sources)]
        if any(source >= row.index for source in sources):
            return False
        incoming = [strides[source] for source in sources]
        if planned.kind == "concat" and len(set(incoming)) > 1:
            return False
        if planned.kind == "detect":
            concats = any(plan.rows[source].kind == "concat" for source in sources)
            return not concats and sorted(set(incoming)) == incoming and read | set(sources) >= set(range(row.index))
        strides[row.index] = incoming[0] * plan.stride(row.index) / plan.stride(row.sources[0].row)
        read |= set(sources)
    return False


def _insertions(plan: ModelPlan, original: ModelPlan) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return the sets of rows that may have been inserted: first those whose removal gives the original, then others.

    Candidates are attention rows, and rows that cannot be built here, such as attention modules of other forks.
    """
    rows = [
        planned.row.index
        for planned in plan.rows
        if planned.kind in ("gate", None) or (planned.spec and planned.spec.options)
    ]
    if len(rows) > _MAX_INSERTED:
        return [], [tuple(rows)]
    insertions = [chosen for count in range(len(rows), -1, -1) for chosen in combinations(rows, count)]
    similarity = {chosen: _similarity(plan, chosen, original) for chosen in insertions}
    best = max(similarity.values())
    likely = [chosen for chosen in insertions if best > 0 and similarity[chosen] == best]
    return likely, [chosen for chosen in insertions if chosen not in likely]


def _new_indices(plan: ModelPlan, inserted: Iterable[int]) -> dict[int, int]:
    """Return the index of every row after the insertion, by its index before the insertion."""
    new = set(inserted)
    return dict(enumerate(row for row in range(len(plan.rows)) if row not in new))


def _similarity(plan: ModelPlan, inserted: Sequence[int], original: ModelPlan) -> int:
    """Return how many rows have the kind of the original's rows once the inserted rows are removed; 0 if they differ.

    One layer may take the place of another, so that older releases of YOLOv5 and replaced blocks are recognized.
    """
    kinds = [planned.kind for planned in plan.rows if planned.row.index not in inserted]
    original_kinds = [planned.kind for planned in original.rows]
    if len(kinds) != len(original_kinds):
        return 0
    pairs = list(zip(kinds, original_kinds, strict=True))
    possible = all(one == other or (one in _LAYERS and other in _LAYERS) for one, other in pairs)
    return sum(one == other for one, other in pairs) if possible else 0
