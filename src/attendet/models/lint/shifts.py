"""Find row numbers that an insertion shifted.

Inserting a row moves all later rows by one. A reference that was written before the insertion, such as
`Detect [17, 20, 23]`, then reads other rows than its author meant. These often have the same size, so no error follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from attendet.models.lint.layout_matching import LayoutMatch, is_attention, match_layouts
from attendet.models.lint.layouts import LAYERS, LAYOUTS, Layout
from attendet.models.planning import ModelPlan
from attendet.models.yaml.model_file import RowSource


@dataclass(frozen=True)
class Reference:
    """A row number in the `from` of a row, except for -1, which stays valid after an insertion.

    Attributes:
        row: Index of the row that reads.
        position: Position among the sources of the row, from 0.
        source: The row number, and the row that it refers to.
    """

    row: int
    position: int
    source: RowSource


# The rows that references are meant to read, of those references that read another row.
Corrections: TypeAlias = Mapping[Reference, int]


@dataclass(frozen=True)
class Shifts:
    """An explanation of row numbers by an insertion.

    Attributes:
        corrections: The rows that the shifted numbers mean.
        inserted: The inserted rows.
    """

    corrections: Corrections
    inserted: frozenset[int]


def references(plan: ModelPlan) -> list[Reference]:
    """Return the row numbers of a file in their order."""
    return [reference for row in range(len(plan.rows)) for reference in references_of(plan, row)]


def references_of(plan: ModelPlan, row: int) -> list[Reference]:
    """Return the row numbers that a row of a file reads, in their order."""
    sources = plan.rows[row].row.sources
    return [Reference(row, position, source) for position, source in enumerate(sources) if source.written != -1]


def shifted_references(plan: ModelPlan) -> list[Shifts]:
    """Return the row numbers that were not updated after an insertion, and the rows that they mean.

    The file is compared with the layouts that most files start from. If it is one of them with inserted rows, a number
    is shifted if it is the number of the layout, or a number between it and the right one.

    Returns:
        The possible explanations, the most likely first. One without corrections means that no number is shifted. No
        explanation means that the file differs from all layouts.
    """
    matches = match_layouts(plan, LAYOUTS)
    # Of two adjacent attention rows, either may be the inserted one. The explanation with fewer faults is more likely.
    explanations = [(_unusual_numbers(plan, match), _shifted(plan, match)) for match in matches]
    ranked = sorted(explanations, key=lambda explanation: (explanation[0], len(explanation[1].corrections)))
    return [shifts for _, shifts in ranked]


def _unusual_numbers(plan: ModelPlan, match: LayoutMatch) -> int:
    """Return how many row numbers differ from the right ones and from the numbers of the layout."""
    usual = [
        ref
        for ref, number in _meanings(plan, match)
        if ref.source.written == number or ref.source.row in attention_chain(plan, match.rows[number], match.inserted)
    ]
    return len(references(plan)) - len(usual)


def _shifted(plan: ModelPlan, match: LayoutMatch) -> Shifts:
    meant = {ref: row for ref, row in _meanings(plan, match) if _is_shifted(plan, match, ref, row)}
    return Shifts({ref: match.rows[number] for ref, number in meant.items()}, match.inserted)


def _meanings(plan: ModelPlan, match: LayoutMatch) -> Iterator[tuple[Reference, int]]:
    """Yield the references of a file, each with the row of the layout that it is meant to read."""
    refs = references(plan)
    for index, row in enumerate(match.rows):
        numbers = match.layout.rows[index].numbers
        of_row = [ref for ref in refs if ref.row == row]
        if len(of_row) == len(numbers):
            yield from zip(of_row, numbers, strict=True)
        else:
            # The row reads more or fewer rows than in the layout.
            of_layout = [ref for ref in of_row if ref.source.written in numbers or _is_old(match, ref, index)]
            yield from ((ref, ref.source.written) for ref in of_layout)


def _is_old(match: LayoutMatch, ref: Reference, reader: int) -> bool:
    """Return whether a number that the layout does not have fits its numbering, but not that of the file."""
    layout, number, read = match.layout, ref.source.written, ref.source.row
    if not 0 <= number < len(layout.rows) - 1:
        return False
    return _is_readable(layout, number, reader) and not _is_readable(layout, _in_layout(match, read), reader)


def _in_layout(match: LayoutMatch, row: int) -> int:
    """Return the row of the layout in the place of a row of the file, or the last one before an inserted row."""
    return max((index for index, matched in enumerate(match.rows) if matched <= row), default=0)


def _is_readable(layout: Layout, row: int, reader: int) -> bool:
    """Return whether a row has the stride of a row that reads it, and is one that other rows usually read."""
    return layout.strides[row] == layout.strides[reader] and layout.rows[row].role in LAYERS


def _is_shifted(plan: ModelPlan, match: LayoutMatch, ref: Reference, number: int) -> bool:
    """Return whether a reference to a row of the layout reads another row because rows were inserted."""
    meant, read = match.rows[number], ref.source.row
    if read in attention_chain(plan, meant, match.inserted):
        return False
    if ref.source.written < 0:
        return ref.source.written == number - match.rows.index(ref.row)
    if number <= read < meant:
        return True
    # A number that was raised by more than the insertions before its row.
    is_raised = meant < read <= number + len(match.inserted)
    return is_raised and not _are_alike(match, read, number)


def _are_alike(match: LayoutMatch, row: int, number: int) -> bool:
    """Return whether a row of the file may take the place of a row of the layout: same stride, and both join or not."""
    layout = match.layout
    last = _in_layout(match, row)
    is_join = row in match.rows and layout.rows[last].role == "join"
    return layout.strides[last] == layout.strides[number] and is_join == (layout.rows[number].role == "join")


def attention_chain(plan: ModelPlan, row: int, inserted: frozenset[int] = frozenset()) -> list[int]:
    """Return a row and the attention rows or inserted rows that follow it one after the other."""
    chain = [row]
    for planned in plan.rows[row + 1 : -1]:
        index, sources = planned.row.index, [source.row for source in planned.row.sources]
        if (index in inserted or is_attention(plan, index)) and sources == chain[-1:]:
            chain.append(index)
    return chain
