"""Correct row numbers in files of an unknown layout, by the assumption that the file was consistent before.

The file without its attention rows is taken for the file into which they were inserted. Its row numbers are right if
they join maps of equal size, if the head reads one row per stride, and if every row has an effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attendet.models.lint.layout_matching import is_attention
from attendet.models.lint.shifts import Corrections, Reference, Shifts, attention_chain, references_of
from attendet.models.lint.structure import live_rows
from attendet.models.planning import ModelPlan

_MAX_INSERTIONS = 20


def consistent_corrections(plan: ModelPlan) -> Iterator[Shifts]:
    """Yield corrections of the row numbers that make a file consistent.

    Args:
        plan: A file with faults in its connections.
    """
    for inserted in _insertions(plan):
        moved = dict(enumerate(row for row in range(len(plan.rows)) if row not in inserted))
        for prefers_moved in (True, False):
            wiring = _Wiring(plan, moved, prefers_moved)
            for changes in wiring.corrections():
                yield Shifts(changes, inserted)


def _insertions(plan: ModelPlan) -> list[frozenset[int]]:
    """Return sets of rows that may have been inserted, without repetition."""
    single = [planned.row.index for planned in plan.rows[:-1] if len(planned.row.sources) == 1]
    attention = [row for row in single if is_attention(plan, row)]
    unknown = [row for row in single if plan.rows[row].kind is None]
    inside = [row for row in single if (spec := plan.rows[row].spec) and spec.options]
    groups = [attention, sorted({*attention, *unknown}), sorted({*attention, *unknown, *inside})]
    groups += [[row] for row in groups[-1][:_MAX_INSERTIONS]]
    return list(dict.fromkeys(frozenset(group) for group in groups if group))


@dataclass(frozen=True)
class _Wiring:
    """A choice for each row number: unchanged, or moved by the rows inserted before.

    Attributes:
        plan: The file.
        moved: The new row of each row before the insertion.
        prefers_moved: Whether moved numbers are chosen if both fit.
    """

    plan: ModelPlan
    moved: Mapping[int, int]
    prefers_moved: bool

    def corrections(self) -> Iterator[Corrections]:
        """Yield the changes that make the file consistent, one for each possible choice of the head's rows."""
        head = len(self.plan.rows) - 1
        strides: dict[int, float] = {-1: 1.0}
        choice: dict[Reference, int] = {}
        for row in range(head):
            chosen = self._choose(row, strides)
            if chosen is None:
                return
            choice |= chosen
        for levels in self._heads(references_of(self.plan, head)):
            changes = {ref: row for ref, row in {**choice, **levels}.items() if row != ref.source.row}
            if changes and self._is_consistent(list(levels.values()), changes, strides):
                yield changes

    def _choose(self, row: int, strides: dict[int, float]) -> dict[Reference, int] | None:
        """Choose the numbers of a row so that it joins equal sizes, and add its stride; None if that is impossible."""
        sources = self.plan.rows[row].row.sources
        joins = len(sources) > 1
        chosen: dict[Reference, int] = {}
        stride = strides[row - 1] if any(source.written == -1 for source in sources) else None
        for ref in references_of(self.plan, row):
            fitting = [option for option in self._options(ref) if stride is None or strides.get(option) == stride]
            if not fitting or fitting[0] not in strides:
                return None
            chosen[ref] = fitting[0]
            stride = strides[fitting[0]]
        first = next((source.row for source in sources), row - 1)
        factor = 1.0 if joins else self.plan.stride(row) / self.plan.stride(first)
        strides[row] = (strides[row - 1] if stride is None else stride) * factor
        return chosen

    def _options(self, ref: Reference) -> list[int]:
        if ref.source.written < 0:
            return [ref.source.row]
        options = [self.moved.get(ref.source.row, ref.source.row), ref.source.row]
        return options if self.prefers_moved else options[::-1]

    def _heads(self, refs: Sequence[Reference]) -> Iterator[dict[Reference, int]]:
        for choice in (0, -1):
            rows = {ref: self._options(ref)[choice] for ref in refs}
            yield rows
            yield {ref: attention_chain(self.plan, row)[-1] for ref, row in rows.items()}

    def _is_consistent(self, levels: Sequence[int], changes: Corrections, strides: Mapping[int, float]) -> bool:
        head = len(self.plan.rows) - 1
        read = [strides.get(row, 0.0) for row in levels]
        joins = any(row < 0 or len(self.plan.rows[row].row.sources) > 1 for row in levels)
        places = {(ref.row, ref.position): row for ref, row in changes.items()}
        return not joins and sorted(set(read)) == read and len(live_rows(self.plan, places)) == head + 1
