"""Stale row numbers are found and corrected in every layout, wherever and however many attention rows were inserted.

The right file is constructed here from a graph of rows that refer to each other as objects: an insertion cannot shift
such references, and the numbers are written last.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import chain

import pytest

from attendet.models.lint.checker import Correction, check_model_file, fix_model_file
from attendet.models.yaml.model_file import read_model_file

STEM, DOWN, LATERAL, UP = (
    "Conv, [64, 6, 2, 2]",
    "Conv, [64, 3, 2]",
    "Conv, [64, 1, 1]",
    "nn.Upsample, [None, 2, nearest]",
)
C3, SPPF, CONCAT = "C3, [64]", "SPPF, [64, 5]", "Concat, [1]"
CBAM = "CBAM, []"


def backbone(pairs: int, *end: str) -> list[str]:
    return [STEM, *[DOWN, C3] * pairs, *end]


def top_down(number: int, *lateral: str) -> list[str | tuple[str, int]]:
    return [*lateral, UP, (CONCAT, number), C3]


def bottom_up(number: int) -> list[str | tuple[str, int]]:
    return [DOWN, (CONCAT, number), C3]


# The numbers of each layout, as published: the rows that its Concats and its head read.
LAYOUTS: dict[str, tuple[list[str | tuple[str, int]], tuple[int, ...]]] = {
    "YOLOv5": (
        [*backbone(4, SPPF), *top_down(6, LATERAL), *top_down(4, LATERAL), *bottom_up(14), *bottom_up(10)],
        (17, 20, 23),
    ),
    "YOLOv5-P2": (
        [
            *backbone(4, SPPF),
            *chain.from_iterable(top_down(number, LATERAL) for number in (6, 4, 2)),
            *chain.from_iterable(bottom_up(number) for number in (18, 14, 10)),
        ],
        (21, 24, 27, 30),
    ),
    "YOLOv5-P6": (
        [
            *backbone(5, SPPF),
            *chain.from_iterable(top_down(number, LATERAL) for number in (8, 6, 4)),
            *chain.from_iterable(bottom_up(number) for number in (20, 16, 12)),
        ],
        (23, 26, 29, 32),
    ),
    "YOLOv5-P7": (
        [
            *backbone(6, SPPF),
            *chain.from_iterable(top_down(number, LATERAL) for number in (10, 8, 6, 4)),
            *chain.from_iterable(bottom_up(number) for number in (26, 22, 18, 14)),
        ],
        (29, 32, 35, 38, 41),
    ),
    "YOLOv5-P34": ([*backbone(4, SPPF), *top_down(6, LATERAL), *top_down(4, LATERAL), *bottom_up(14)], (17, 20)),
    "YOLOv8": ([*backbone(4, SPPF), *top_down(6), *top_down(4), *bottom_up(12), *bottom_up(9)], (15, 18, 21)),
    "YOLO11": ([*backbone(4, SPPF, C3), *top_down(6), *top_down(4), *bottom_up(13), *bottom_up(10)], (16, 19, 22)),
}


@dataclass(eq=False)
class Row:
    """A row of a graph; `reads` are the rows that it refers to by number."""

    module: str
    reads: list[Row] = field(default_factory=list)


def graph(name: str) -> list[Row]:
    listed, levels = LAYOUTS[name]
    rows: list[Row] = []
    for module in listed:
        text, reads = (module, []) if isinstance(module, str) else (module[0], [rows[module[1]]])
        rows.append(Row(text, reads))
    return [*rows, Row("Detect, [nc, anchors]", [rows[level] for level in levels])]


def numbers(rows: list[Row]) -> dict[Row, list[int]]:
    """Return the numbers that each row has to read."""
    return {row: [rows.index(read) for read in row.reads] for row in rows if row.reads}


def text_of(rows: list[Row], reads: dict[Row, list[int]]) -> str:
    """Write a model file with one number or more per row that has them, and -1 for all others."""
    lines = []
    for row in rows:
        previous = [] if row is rows[-1] else [-1]
        sources = f"[{', '.join(map(str, [*previous, *reads[row]]))}]" if row in reads else "-1"
        lines.append(f"  - [{sources}, 1, {row.module}]\n")
    anchors = "".join(f"  - [{8 * 2**level}, {8 * 2**level}]\n" for level in range(len(reads[rows[-1]])))
    return (
        f"nc: 2\ndepth_multiple: 0.33\nwidth_multiple: 1.0\nanchors:\n{anchors}"
        f"backbone:\n{''.join(lines[:10])}head:\n{''.join(lines[10:])}"
    )


def check_and_fix(text: str) -> tuple[set[int | None], Correction]:
    file = read_model_file(text, "model.yaml")
    shifted = {finding.row for finding in check_model_file(file) if finding.kind == "shifted-index"}
    return shifted, fix_model_file(file)


def insert(rows: list[Row], count: int, dice: random.Random, module: str = CBAM) -> list[dict[Row, list[int]]]:
    """Insert attention rows one by one, and return the right numbers before and after each insertion."""
    history = [numbers(rows)]
    for _ in range(count):
        # After the last block, nothing but the head could read the attention.
        rows.insert(dice.randrange(1, len(rows) - 1), Row(module))
        history.append(numbers(rows))
    return history


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_numbers_that_were_not_updated_are_found_and_corrected(name: str, count: int) -> None:
    dice = random.Random(f"{name} {count}")  # noqa: S311 (a test, not cryptography)
    rows = graph(name)
    history = insert(rows, count, dice)
    before, right = history[0], history[-1]
    shifted, correction = check_and_fix(text_of(rows, before))
    assert shifted == {rows.index(row) for row in right if before[row] != right[row]}
    assert correction.text == text_of(rows, right)
    assert correction.remaining == ()
    assert check_model_file(read_model_file(correction.text, "model.yaml")) == []


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_each_number_may_have_been_updated_after_some_of_the_insertions(name: str, count: int) -> None:
    dice = random.Random(f"partly {name} {count}")  # noqa: S311 (a test, not cryptography)
    rows = graph(name)
    history = insert(rows, count, dice)
    right = history[-1]
    written = {row: [dice.choice(history)[row][place] for place in range(len(right[row]))] for row in right}
    shifted, correction = check_and_fix(text_of(rows, written))
    assert shifted == {rows.index(row) for row in right if written[row] != right[row]}
    assert correction.text == text_of(rows, right)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("module", ["NewAttention, [64]", "C3CBAM, [64]", "SE, [64, 4]", "C3TR, [64]"])
def test_attention_of_any_kind_may_be_inserted(name: str, module: str) -> None:
    rows = graph(name)
    pool = next(index for index, row in enumerate(rows) if row.module == SPPF)
    before = numbers(rows)
    rows.insert(pool, Row(module))
    right = numbers(rows)
    shifted, correction = check_and_fix(text_of(rows, before))
    assert shifted == {rows.index(row) for row in right if before[row] != right[row]}
    assert correction.text == text_of(rows, right)


@pytest.mark.parametrize("place", [1, 3, 6, 9])
def test_a_concat_may_read_one_row_more_than_in_the_layout(place: int) -> None:
    rows = graph("YOLOv5")
    # The weighted fusion of EfficientDet adds the backbone's row to the path down.
    rows[19].reads.append(rows[6])
    before = numbers(rows)
    rows.insert(place, Row(CBAM))
    right = numbers(rows)
    shifted, correction = check_and_fix(text_of(rows, before))
    assert shifted == {rows.index(row) for row in right if before[row] != right[row]}
    assert correction.text == text_of(rows, right)
    assert check_model_file(read_model_file(text_of(rows, right), "model.yaml")) == []


def test_relative_numbers_across_an_insertion_are_found() -> None:
    rows = graph("YOLOv5")
    rows.insert(9, Row(CBAM))
    right = text_of(rows, numbers(rows))
    # Row 13 reads row 6, which was six rows before it: -6 of row 12 before the insertion.
    stale = right.replace("[-1, 6], 1, Concat", "[-1, -6], 1, Concat")
    shifted, correction = check_and_fix(stale)
    assert (shifted, correction.text) == ({13}, right)


def test_a_number_that_was_raised_too_far_is_found() -> None:
    rows = graph("YOLOv5")
    rows.insert(9, Row(CBAM))
    right = text_of(rows, numbers(rows))
    stale = right.replace("[-1, 6], 1, Concat", "[-1, 7], 1, Concat")
    shifted, correction = check_and_fix(stale)
    assert (shifted, correction.text) == ({13}, right)
    kinds = [finding.kind for finding in check_model_file(read_model_file(stale, "model.yaml"))]
    assert kinds[:2] == ["shifted-index", "unequal-concat"]


def test_attention_after_the_last_block_is_read_by_the_head() -> None:
    rows = graph("YOLOv5")
    before = numbers(rows)
    for block in (23, 20, 17):
        rows.insert(block + 1, Row(CBAM))
    shifted, correction = check_and_fix(text_of(rows, before))
    assert shifted == {27}
    assert "[[18, 22, 26], 1, Detect" in correction.text
    assert correction.remaining == ()


def test_a_fault_that_shifted_numbers_hide_remains_after_the_correction() -> None:
    rows = graph("YOLOv5")
    before = numbers(rows)
    for place in (3, 6):
        rows.insert(place, Row(CBAM))
    # The order of the levels is a fault of its own.
    stale = text_of(rows, {**before, rows[-1]: [20, 17, 23]})
    shifted, correction = check_and_fix(stale)
    assert shifted
    assert [finding.kind for finding in correction.remaining] == ["detect-order"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_of_a_layout_without_insertions_has_no_faults(name: str) -> None:
    rows = graph(name)
    file = read_model_file(text_of(rows, numbers(rows)), "model.yaml")
    assert check_model_file(file) == []
    assert fix_model_file(file).changes == ()
