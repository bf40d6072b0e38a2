"""Row numbers that an insertion shifted and nobody updated.

Inserting a row moves all later ones by one. A reference that was written for the file before it, `Detect [17, 20, 23]`,
now reads other rows than were meant, often ones of the same size, so that nothing complains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice, product

from attendet.blocks.wiring import Kind
from attendet.graph.findings import Finding
from attendet.graph.plan import Plan
from attendet.graph.spec import Source

MAX_INSERTED = 8
MOST_STEPS = 200_000


@dataclass(frozen=True)
class Reference:
    """An absolute row number in a row's `from`.

    Attributes:
        row: The row that reads.
        place: Which of its sources, from 0.
        source: What is written.
    """

    row: int
    place: int
    source: Source


def references(plan: Plan) -> list[Reference]:
    """Return the absolute row numbers in a file, in its order; relative ones move along with their rows."""
    return [
        Reference(row.row.index, place, source)
        for row in plan.rows
        for place, source in enumerate(row.row.sources)
        if source.written >= 0
    ]


def shifted_references(plan: Plan, original: Plan) -> list[Finding]:
    """Return references that still hold the number they have in `original`, though rows were inserted before it.

    Only for files that are `original` with attention rows inserted or put in place of other rows; others have no
    original to be compared with.
    """
    for inserted in _insertions(plan):
        if not _same_without(plan, inserted, original):
            continue
        places = _new_numbers(plan, inserted)
        meant = {(places[ref.row], ref.place): ref.source.written for ref in references(original)}
        stale: dict[int, list[int]] = {}
        for ref in references(plan):
            number = meant.get((ref.row, ref.place))
            if number is not None and ref.source.written == number != places[number]:
                stale.setdefault(ref.row, []).append(number)
        return [_stale(plan, row, numbers, places) for row, numbers in stale.items()]
    return []


def _stale(plan: Plan, reader: int, numbers: list[int], places: Mapping[int, int]) -> Finding:
    row = plan.rows[reader].row
    written, now = (", ".join(map(str, listed)) for listed in (numbers, [places[number] for number in numbers]))
    what = f"{row.module} still reads {written}, as it was numbered before rows were inserted"
    return Finding("shifted-index", what, f"read {now}", row.location, row.index)


def corrections(plan: Plan) -> Iterator[Mapping[Reference, int]]:
    """Yield ways to re-point references, those first that explain the file by fewer and simpler oversights.

    An author inserted some of the attention rows, and left some of the numbers after them as they were. Where Detect
    was to read attention that now follows a row, it is pointed there.
    """
    refs = references(plan)
    head = len(plan.rows) - 1
    laterals = [ref for ref in refs if ref.row != head]
    detect = [ref for ref in refs if ref.row == head]
    candidates = chain.from_iterable(_pointings(plan, inserted, laterals, detect) for inserted in _insertions(plan))
    seen: list[Mapping[Reference, int]] = []
    for candidate in islice(candidates, MOST_STEPS // (len(plan.rows) + len(refs))):
        changed = {ref: row for ref, row in candidate.items() if row != ref.source.row}
        if changed and changed not in seen and _holds_together(plan, candidate):
            seen.append(changed)
            yield changed


def _pointings(
    plan: Plan, inserted: tuple[int, ...], laterals: Sequence[Reference], detect: Sequence[Reference]
) -> Iterator[dict[Reference, int]]:
    places = _new_numbers(plan, inserted)
    moved = {ref: places.get(ref.source.row, ref.source.row) for ref in (*laterals, *detect)}
    heads = [
        {ref: moved[ref] for ref in detect},
        {ref: _through_attention(plan, moved[ref]) for ref in detect},
        {ref: ref.source.row for ref in detect},
        {ref: _through_attention(plan, ref.source.row) for ref in detect},
    ]
    for choice in product(*([moved[ref], ref.source.row] for ref in laterals)):
        for head in heads:
            yield {**dict(zip(laterals, choice, strict=True)), **head}


def _through_attention(plan: Plan, row: int) -> int:
    """Return the last of the attention rows that follow a row one after the other, or the row itself."""
    while row + 1 < len(plan.rows) and plan.rows[row + 1].kind == "gate" and _reads_only(plan, row + 1, row):
        row += 1
    return row


def _reads_only(plan: Plan, row: int, source: int) -> bool:
    return [s.row for s in plan.rows[row].row.sources] == [source]


def _holds_together(plan: Plan, pointing: Mapping[Reference, int]) -> bool:
    """Say whether a pointing joins maps of one size, reads one row per stride, and leaves no row dead.

    How much a row shrinks its map does not depend on where the map comes from, so this needs no modules.
    """
    pointed = {(ref.row, ref.place): row for ref, row in pointing.items()}
    strides: dict[int, float] = {-1: 1.0}
    read: set[int] = set()
    for planned in plan.rows:
        row = planned.row
        sources = [pointed.get((row.index, place), source.row) for place, source in enumerate(row.sources)]
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


def _insertions(plan: Plan) -> Iterator[tuple[int, ...]]:
    """Yield the sets of attention rows that may have been inserted, all of them first."""
    gates = [planned.row.index for planned in plan.rows if planned.kind == "gate"]
    if len(gates) > MAX_INSERTED:
        yield tuple(gates)
        return
    for count in range(len(gates), 0, -1):
        yield from combinations(gates, count)


def _new_numbers(plan: Plan, inserted: Iterable[int]) -> dict[int, int]:
    """Return the present number of every row that was there before the insertion, by its number then."""
    new = set(inserted)
    return dict(enumerate(row for row in range(len(plan.rows)) if row not in new))


def _same_without(plan: Plan, inserted: Sequence[int], original: Plan) -> bool:
    present: list[Kind | None] = [row.kind for row in plan.rows if row.row.index not in inserted]
    return len(present) == len(original.rows) and all(
        kind in (row.kind, "gate") for kind, row in zip(present, original.rows, strict=True)
    )
