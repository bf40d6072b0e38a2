"""Row numbers that an insertion shifted and nobody updated.

Inserting a row moves all later ones by one. A reference that was written for the file before it, `Detect [17, 20, 23]`,
now reads other rows than were meant, often ones of the same size, so that nothing complains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice, product

from attendet.blocks.wiring import RuleKind
from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan
from attendet.models.yaml.model_file import RowSource

MAX_INSERTED = 8
MOST_STEPS = 200_000
LAYERS: frozenset[RuleKind | None] = frozenset(("widen", "widen+repeat", "gate", None))


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
    source: RowSource


def references(plan: ModelPlan) -> list[Reference]:
    """Return the absolute row numbers in a file, in its order; relative ones move along with their rows."""
    return [
        Reference(row.row.index, place, source)
        for row in plan.rows
        for place, source in enumerate(row.row.sources)
        if source.written >= 0
    ]


def shifted_references(plan: ModelPlan, original: ModelPlan) -> list[Finding]:
    """Return references that still hold the number they have in `original`, though rows were inserted before it.

    Only for files that are `original` with attention rows inserted or put in place of other rows; others have no
    original to be compared with.
    """
    readings = [_stale_references(plan, inserted, original) for inserted in _insertions(plan, original)[0]]
    # Of two attention rows side by side either may be the inserted one: the reading that finds less holds.
    return min(readings, key=len, default=[])


def _stale_references(plan: ModelPlan, inserted: Sequence[int], original: ModelPlan) -> list[Finding]:
    places = _new_numbers(plan, inserted)
    meant = {(places[ref.row], ref.place): ref.source.written for ref in references(original)}
    stale: dict[int, list[int]] = {}
    for ref in references(plan):
        number = meant.get((ref.row, ref.place))
        if number is not None and ref.source.written == number != places[number]:
            stale.setdefault(ref.row, []).append(number)
    return [_stale(plan, row, numbers, places) for row, numbers in stale.items()]


def _stale(plan: ModelPlan, reader: int, numbers: list[int], places: Mapping[int, int]) -> Finding:
    row = plan.rows[reader].row
    written, now = (", ".join(map(str, listed)) for listed in (numbers, [places[number] for number in numbers]))
    what = f"{row.module} still reads {written}, as it was numbered before rows were inserted"
    return Finding("shifted-index", what, f"read {now}", row.location, row.index)


def corrections(plan: ModelPlan, original: ModelPlan) -> Iterator[Mapping[Reference, int]]:
    """Yield ways to re-point references, those first that explain the file by fewer and simpler oversights.

    An author inserted some of the attention rows, and left some of the numbers after them as they were. Where Detect
    was to read attention that now follows a row, it is pointed there.
    """
    refs = references(plan)
    head = len(plan.rows) - 1
    laterals = [ref for ref in refs if ref.row != head]
    detect = [ref for ref in refs if ref.row == head]
    sets = chain(*_insertions(plan, original))
    candidates = chain.from_iterable(_pointings(plan, inserted, laterals, detect) for inserted in sets)
    seen: list[Mapping[Reference, int]] = []
    for candidate in islice(candidates, MOST_STEPS // (len(plan.rows) + len(refs))):
        changed = {ref: row for ref, row in candidate.items() if row != ref.source.row}
        if changed and changed not in seen and _holds_together(plan, candidate):
            seen.append(changed)
            yield changed


def _pointings(
    plan: ModelPlan, inserted: tuple[int, ...], laterals: Sequence[Reference], detect: Sequence[Reference]
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


def _through_attention(plan: ModelPlan, row: int) -> int:
    """Return the last of the attention rows that read a row one after the other, or the row itself."""
    for planned in plan.rows:
        if planned.kind == "gate" and [source.row for source in planned.row.sources] == [row]:
            row = planned.row.index
    return row


def _holds_together(plan: ModelPlan, pointing: Mapping[Reference, int]) -> bool:
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


def _insertions(plan: ModelPlan, original: ModelPlan) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return the sets of rows that may have been inserted: those that leave what is most like the original, the rest.

    Rows with attention come into question, and rows that cannot be built here, such as another fork's attention.
    """
    rows = [row.row.index for row in plan.rows if row.kind in ("gate", None) or (row.recipe and row.recipe.options)]
    if len(rows) > MAX_INSERTED:
        return [], [tuple(rows)]
    sets = [chosen for count in range(len(rows), -1, -1) for chosen in combinations(rows, count)]
    likeness = {chosen: _likeness(plan, chosen, original) for chosen in sets}
    best = max(likeness.values())
    alike = [chosen for chosen in sets if best > 0 and likeness[chosen] == best]
    return alike, [chosen for chosen in sets if chosen not in alike]


def _new_numbers(plan: ModelPlan, inserted: Iterable[int]) -> dict[int, int]:
    """Return the present number of every row that was there before the insertion, by its number then."""
    new = set(inserted)
    return dict(enumerate(row for row in range(len(plan.rows)) if row not in new))


def _likeness(plan: ModelPlan, inserted: Sequence[int], original: ModelPlan) -> int:
    """Return how many rows are of the original's kind without the inserted ones; 0 if some cannot be its rows.

    One layer may stand for another, so that YOLOv5's older releases and replaced blocks are recognized.
    """
    present = [row.kind for row in plan.rows if row.row.index not in inserted]
    kinds = [row.kind for row in original.rows]
    if len(present) != len(kinds):
        return 0
    pairs = list(zip(present, kinds, strict=True))
    possible = all(ours == theirs or (ours in LAYERS and theirs in LAYERS) for ours, theirs in pairs)
    return sum(ours == theirs for ours, theirs in pairs) if possible else 0
