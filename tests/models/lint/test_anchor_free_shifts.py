"""Stale row numbers in files of YOLOv8 and YOLO11: found wherever attention was inserted, and rightly corrected."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from attendet.models.bundled import bundled_names, bundled_text
from attendet.models.lint.checker import check_model_file, fix_model_file
from attendet.models.planning import plan_model
from attendet.models.yaml.model_file import ModelFile, read_model_file
from tests.models.family_files import SCALES, family_text

CBAM = "  - [-1, 1, CBAM, [{{reduction: 4}}]]{}"
ROW = re.compile(r"^  - \[.*\n", re.MULTILINE)
# Blocks after which attention is inserted; the last one is followed by the head.
BLOCKS = {"yolov8": (2, 4, 6, 8, 9, 12, 15, 18, 21), "yolo11": (2, 4, 6, 8, 9, 10, 13, 16, 19, 22)}
# The row numbers in the published files: of the Concats, and of the head.
NUMBERS = {"yolov8": [6, 4, 12, 9, 15, 18, 21], "yolo11": [6, 4, 13, 10, 16, 19, 22]}


def read(text: str, family: str) -> ModelFile:
    return read_model_file(text, f"{family}s.yaml")


def inserted(text: str, *blocks: int) -> str:
    """Insert attention after rows, and leave all numbers as they were."""
    for block in sorted(blocks, reverse=True):
        row = list(ROW.finditer(text))[block]
        text = f"{text[: row.end()]}{CBAM.format(chr(10))}{text[row.end() :]}"
    return text


def numbers(text: str) -> list[int]:
    """Return the row numbers of a file in their order."""
    lists = re.findall(r"^  - \[\[([-\d, ]+)\]", text, re.MULTILINE)
    return [int(number) for written in lists for number in written.split(", ") if number != "-1"]


def moved(number: int, blocks: tuple[int, ...]) -> int:
    """Return the new number of a row; attention inserted after a row does not move it."""
    return number + sum(block < number for block in blocks)


def with_numbers(text: str, new: Sequence[int]) -> str:
    """Return a file with other row numbers, in their order."""
    remaining = iter(new)

    def written(found: re.Match[str]) -> str:
        return ", ".join(number if number == "-1" else str(next(remaining)) for number in found[0].split(", "))

    return re.sub(r"(?<=^  - \[\[)[-\d, ]+", written, text, flags=re.MULTILINE)


@pytest.mark.parametrize("family", SCALES)
def test_the_file_without_an_insertion_has_no_findings(family: str) -> None:
    assert numbers(family_text(family)) == NUMBERS[family]
    assert check_model_file(read(family_text(family), family)) == []
    assert fix_model_file(read(family_text(family), family)).text == family_text(family)


CASES = [(family, (block,)) for family, blocks in BLOCKS.items() for block in blocks[:-1]]
CASES += [
    (family, (one, other))
    for family, blocks in BLOCKS.items()
    for one, other in zip(blocks[:-3], blocks[2:-1], strict=True)
]
CASES += [(family, blocks[:-1]) for family, blocks in BLOCKS.items()]


@pytest.mark.parametrize(("family", "blocks"), CASES)
def test_every_stale_number_is_named_and_corrected(family: str, blocks: tuple[int, ...]) -> None:
    stale = inserted(family_text(family), *blocks)
    expected = {old: moved(old, blocks) for old in NUMBERS[family]}

    right = with_numbers(stale, list(expected.values()))
    findings = [finding for finding in check_model_file(read(stale, family)) if finding.kind == "shifted-index"]
    for old, new in expected.items():
        named = [finding for finding in findings if re.search(rf"reads (\d+, )*{old}\b", finding.message)]
        assert bool(named) is (old != new)
        assert all(re.search(rf"\b{new}\b", str(finding.remedy)) for finding in named)

    correction = fix_model_file(read(stale, family))
    assert numbers(correction.text) == list(expected.values())
    assert correction.text == right
    assert correction.remaining == ()
    assert check_model_file(read(right, family)) == []
    plans = [plan_model(read(text, family)) for text in (correction.text, right)]
    assert len({sum(row.parameters for row in plan.rows) for plan in plans}) == 1


@pytest.mark.parametrize("family", SCALES)
def test_attention_after_every_block_of_the_neck_is_read_by_the_head(family: str) -> None:
    blocks = BLOCKS[family][-4:]
    correction = fix_model_file(read(inserted(family_text(family), *blocks), family))
    high, middle, low = NUMBERS[family][-3:]
    assert numbers(correction.text)[-3:] == [high + 2, middle + 3, low + 4]
    assert correction.remaining == ()


@pytest.mark.parametrize("name", [name for name in bundled_names() if "v5" not in name and name.endswith("_CBAM")])
def test_the_numbers_of_the_bundled_files_are_restored(name: str) -> None:
    """The numbers of the original in a bundled file with attention are corrected to the numbers of the bundled file."""
    text, original = bundled_text(name), bundled_text(name.partition("_")[0])
    assert numbers(original) == NUMBERS[name[:6]]
    stale = with_numbers(text, numbers(original))
    assert numbers(stale) != numbers(text)
    kinds = [finding.kind for finding in check_model_file(read_model_file(stale, name))]
    assert kinds[0] == "shifted-index"
    assert fix_model_file(read_model_file(stale, name)).text == text


@pytest.mark.parametrize(("family", "levels"), [(family, levels) for family in SCALES for levels in ((2, 5), (3, 6))])
@pytest.mark.parametrize("block", [4, 6, 8])
def test_files_with_four_levels(family: str, levels: tuple[int, int], block: int) -> None:
    text = family_text(family, levels)
    stale = inserted(text, block)
    correction = fix_model_file(read(stale, family))
    assert numbers(correction.text) == [moved(number, (block,)) for number in numbers(text)]
    assert correction.remaining == ()
