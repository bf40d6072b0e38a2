"""Nothing that depends on an unknown block is called a fault; everything else is still found."""

from __future__ import annotations

import pytest

from attendet.models.bundled import bundled_text
from attendet.models.findings import Finding, LintKind
from attendet.models.lint.checker import check_model_file, fix_model_file
from attendet.models.yaml.model_file import read_model_file

BASE = bundled_text("yolov5s")
WITH_CBAM = bundled_text("yolov5s_CBAM")


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def findings(text: str) -> list[Finding]:
    return check_model_file(read_model_file(text, "model.yaml"))


def faults(text: str) -> dict[LintKind, set[int | None]]:
    found: dict[LintKind, set[int | None]] = {}
    for finding in findings(text):
        if finding.is_fault:
            found.setdefault(finding.kind, set()).add(finding.row)
    return found


# Row 18 halves the resolution, row 11 doubles it, rows 8 and 20 keep it: what a block with an unknown name does.
ROWS = {
    8: "[-1, 3, C3, [1024]]\n",
    18: "[-1, 1, Conv, [256, 3, 2]]\n  - [[-1, 14]",
    20: "[-1, 3, C3, [512, False]] # 20",
    11: "[-1, 1, nn.Upsample, [None, 2, nearest]]\n  - [[-1, 6]",
}


def with_unknown(row: int, text: str = BASE) -> str:
    module = ROWS[row].split(", ")[2]
    return edited(text, (ROWS[row], ROWS[row].replace(f", {module},", ", NewBlock,", 1)))


@pytest.mark.parametrize("row", ROWS)
def test_an_unknown_block_is_the_only_fault(row: int) -> None:
    assert faults(with_unknown(row)) == {"unbuildable": {row}}


@pytest.mark.parametrize(("one", "other"), [(8, 18), (11, 20), (18, 20)])
def test_two_unknown_blocks_are_the_only_faults(one: int, other: int) -> None:
    text = with_unknown(other, with_unknown(one))
    assert faults(text) == {"unbuildable": {one, other}}
    [remark] = [finding for finding in findings(text) if not finding.is_fault]
    assert f"they depend on rows {one}, {other}, whose blocks are unknown" in remark.message


def test_the_rows_that_depend_on_an_unknown_block_are_named_once() -> None:
    [_, remark] = findings(with_unknown(18))
    assert remark.kind == "unchecked"
    assert remark.message == ("rows 19-24 cannot be checked, because they depend on row 18, whose block is unknown")
    [_, remark] = findings(
        edited(
            with_unknown(20), ("[-1, 1, Conv, [512, 3, 2]]\n  - [[-1, 10]", "[20, 1, Conv, [512, 3, 2]]\n  - [[-1, 10]")
        )
    )
    assert remark.message.startswith("rows 21-24 cannot be checked")


def test_rows_behind_a_row_with_wrong_arguments_are_not_checked_either() -> None:
    text = edited(BASE, ("[-1, 9, C3, [512]]", "[-1, 9, C3, [512, 2]]"))
    assert faults(text) == {"unbuildable": {6}}
    [_, remark] = findings(text)
    assert "depend on row 6, which cannot be built" in remark.message


def test_attention_with_wrong_arguments_keeps_the_shape_of_its_input() -> None:
    text = edited(WITH_CBAM, ("[1024, 16, 7]", "[1024, 16, 4]"), ("[-1, 6]", "[-1, 4]"))
    assert faults(text) == {"unbuildable": {9}, "unequal-concat": {13}}


def test_faults_that_do_not_depend_on_the_unknown_block_are_found() -> None:
    dead = edited(with_unknown(18), ("[17, 20, 23]", "[17, 20, 20]"))
    assert faults(dead) == {"unbuildable": {18}, "dead-row": {21, 22, 23}}
    other_branch = edited(with_unknown(18), ("[-1, 6]", "[-1, 4]"))
    assert faults(other_branch) == {"unbuildable": {18}, "unequal-concat": {12}}
    known_strides = edited(with_unknown(20), ("[17, 20, 23]", "[17, 20, 16]"))
    assert faults(known_strides)["detect-strides"] == {24}


@pytest.mark.parametrize(
    ("old", "row", "kind"),
    [
        # The number of channels is known again after a C3, and the ratio regardless of them.
        ("  - [-1, 1, Conv, [512, 3, 2]]\n  - [[-1, 10]", "  - [-1, 1, CBAM, [128]]\n", "width"),
        ("  - [[-1, 14]", "  - [-1, 1, CBAM, [1024, 1]]\n", "bottleneck"),
        ("  - [[-1, 14]", "  - [-1, 3, C3, [512, 2]]\n", "unbuildable"),
    ],
)
def test_faults_of_single_rows_are_found_if_every_input_has_them(old: str, row: str, kind: LintKind) -> None:
    text = edited(with_unknown(18), (old, row + old))
    assert kind in faults(text)


def test_a_width_that_may_be_right_is_not_a_fault() -> None:
    text = edited(with_unknown(18), ("  - [[-1, 14]", "  - [-1, 1, CBAM, [256]]\n  - [[-1, 14]"))
    assert "width" not in faults(text)


def test_shifted_numbers_are_found_next_to_an_unknown_block() -> None:
    stale = edited(WITH_CBAM, ("[-1, 15]", "[-1, 14]"), ("[-1, 11]", "[-1, 10]"))
    for old, new in [("CBAM, [1024, 16, 7]", "NewAttention, [1024]"), ("SPPF, [1024, 5]", "NewPool, [1024]")]:
        text = edited(stale, (old, new))
        assert faults(text)["shifted-index"] == {20, 23}
        correction = fix_model_file(read_model_file(text, "model.yaml"))
        assert correction.text == edited(WITH_CBAM, (old, new))


@pytest.mark.parametrize("head", ["NewDetect, [nc, anchors]", "Segment, [nc, anchors, 32, 256]"])
def test_a_last_row_with_an_unknown_block_is_the_head(head: str) -> None:
    stale = edited(
        WITH_CBAM, ("[-1, 15]", "[-1, 14]"), ("[18, 21, 24]", "[17, 20, 23]"), ("Detect, [nc, anchors]", head)
    )
    assert faults(stale)["shifted-index"] == {20, 25}
    correction = fix_model_file(read_model_file(stale, "model.yaml"))
    assert correction.text == edited(WITH_CBAM, ("Detect, [nc, anchors]", head))


def test_an_unknown_head_may_read_a_stride_twice() -> None:
    text = edited(BASE, ("[[17, 20, 23], 1, Detect", "[[17, 20, 23, 4], 1, IAuxDetect"))
    assert faults(text) == {"unbuildable": {24}}


def test_an_unknown_attention_row_is_the_only_fault() -> None:
    assert faults(edited(WITH_CBAM, ("CBAM, [1024, 16, 7]", "NewAttention, [1024, 7]"))) == {"unbuildable": {9}}
