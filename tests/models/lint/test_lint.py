"""Every kind of mistake in community files is found with row, cause, and remedy, and shifted rows are corrected."""

from pathlib import Path

import pytest

import attendet
from attendet.errors import AttendetWarning, ModelFileError
from attendet.models.bundled import bundled_text
from attendet.models.findings import LintKind
from attendet.models.lint.checker import check_model_file, fix_model_file

BASE = bundled_text("yolov5s")
WITH_CBAM = bundled_text("yolov5s_CBAM")
CBAM_ROW = "  - [-1, 1, CBAM, [{}]]\n"


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def inserted_after(*ends: str) -> str:
    """Insert CBAM after rows of YOLOv5 without updating any row number."""
    text = BASE
    for end in ends:
        assert end in text
        text = text.replace(end, end + "\n" + CBAM_ROW.format(8).rstrip(), 1)
    return text


APPENDED = "".join(f"  - [{row}, 1, CBAM, [{width}]]\n" for row, width in ((17, 256), (20, 512), (23, 1024)))
OLD_LAYOUT = edited(BASE, ("C3, [1024]]", "SPP, [1024, [5, 9, 13]]]"), ("SPPF, [1024, 5]]", "C3, [1024, False]]"))
REPLACED = bundled_text("yolov5s_CBAM-C3")
UNSHIFTED = edited(WITH_CBAM, ("[18, 21, 24]", "[17, 20, 23]"), ("[-1, 15]", "[-1, 14]"), ("[-1, 11]", "[-1, 10]"))
FAULTY: dict[str, tuple[str, dict[LintKind, set[int]]]] = {
    "inserted at 9 without updating any row number": (
        UNSHIFTED,
        {"shifted-index": {20, 23, 25}, "dead-row": {24}, "detect-input": {25}},
    ),
    "only Detect not updated": (
        edited(WITH_CBAM, ("[18, 21, 24]", "[17, 20, 23]")),
        {"shifted-index": {25}, "dead-row": {24}, "detect-input": {25}},
    ),
    "only one Concat not updated, without another symptom": (
        edited(WITH_CBAM, ("[-1, 15]", "[-1, 14]")),
        {"shifted-index": {20}},
    ),
    "attention appended that Detect does not read": (
        edited(BASE, ("  - [[17, 20, 23]", CBAM_ROW.format(1024) + "  - [[17, 20, 23]")),
        {"dead-attention": {24}},
    ),
    "Detect reads strides 16, 8, 16": (
        edited(BASE, ("[17, 20, 23], 1, Detect", "[20, 17, 13], 1, Detect")),
        {"detect-strides": {24}, "dead-row": {21, 22, 23}},
    ),
    "Detect reads large strides first, anchors small first": (
        edited(BASE, ("[17, 20, 23], 1, Detect", "[23, 20, 17], 1, Detect")),
        {"detect-order": {24}},
    ),
    "a Concat of different sizes": (edited(BASE, ("[-1, 6]", "[-1, 4]")), {"unequal-concat": {12}}),
    "a number of repeats in place of the ratio": (
        edited(WITH_CBAM, ("[1024, 16, 7]", "[1024, 1]")),
        {"bottleneck": {9}},
    ),
    "a number of channels in place of the ratio": (
        edited(WITH_CBAM, ("[1024, 16, 7]", "[1024, 512, 7]")),
        {"bottleneck": {9}},
    ),
    "a width in place of the ratio": (edited(WITH_CBAM, ("[1024, 16, 7]", "[1024, 1024]")), {"bottleneck": {9}}),
    "fewer than four hidden channels": (
        edited(bundled_text("yolov5n_CBAM-C3"), ("CBAM, [128, ratio]", "CBAM, [128, 16]")),
        {"bottleneck": {2}},
    ),
    "no hidden channel at all": (
        edited(bundled_text("yolov5n_CBAM-C3"), ("CBAM, [128, ratio]", "CBAM, [128, 64, 7]")),
        {"unbuildable": {2}},
    ),
    "a wrong declared width": (edited(WITH_CBAM, ("[1024, 16, 7]", "[512, 16, 7]")), {"width": {9}}),
    "two faults at once": (
        edited(
            BASE, ("[-1, 6]", "[-1, 4]"), ("Conv, [512, 3, 2]]\n  - [[-1, 10]", "Cnov, [512, 3, 2]]\n  - [[-1, 10]")
        ),
        {"unbuildable": {21}, "unequal-concat": {12}},
    ),
}


@pytest.mark.parametrize("case", FAULTY)
def test_every_kind_of_fault_is_found_at_its_row(case: str, tmp_path: Path) -> None:
    text, expected = FAULTY[case]
    file = tmp_path / "model.yaml"
    file.write_text(text)
    found = [finding for finding in check_model_file(file) if finding.kind != "unchecked"]
    by_kind: dict[LintKind, set[int]] = {}
    lines = text.splitlines()
    for finding in found:
        assert finding.is_fault
        assert finding.row is not None
        by_kind.setdefault(finding.kind, set()).add(finding.row)
        assert finding.where.line is not None
        assert lines[finding.where.line - 1].lstrip().startswith("- [")
        assert finding.message
        assert finding.remedy
    assert by_kind == expected


BUILDABLE = [case for case, (_, kinds) in FAULTY.items() if not kinds.keys() & {"unbuildable", "unequal-concat"}]


@pytest.mark.parametrize("case", BUILDABLE)
def test_building_a_faulty_file_warns(case: str, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(FAULTY[case][0])
    with pytest.warns(AttendetWarning):
        attendet.build(file)


FIXABLE = {
    "inserted at 9": (UNSHIFTED, WITH_CBAM),
    "only Detect": (FAULTY["only Detect not updated"][0], WITH_CBAM),
    "only one Concat": (FAULTY["only one Concat not updated, without another symptom"][0], WITH_CBAM),
    "appended": (
        FAULTY["attention appended that Detect does not read"][0],
        edited(BASE, ("  - [[17, 20, 23]", CBAM_ROW.format(1024) + "  - [[17, 20, 24]")),
    ),
    "several appended far from the rows that they read": (
        edited(BASE, ("  - [[17, 20, 23]", APPENDED + "  - [[17, 20, 23]")),
        edited(BASE, ("  - [[17, 20, 23]", APPENDED + "  - [[24, 25, 26]")),
    ),
    "a block with attention inside inserted at 9": (
        edited(UNSHIFTED, ("[-1, 1, CBAM, [1024, 16, 7]]", "[-1, 3, C3CBAM, [1024]]")),
        edited(WITH_CBAM, ("[-1, 1, CBAM, [1024, 16, 7]]", "[-1, 3, C3CBAM, [1024]]")),
    ),
    "in the layout of the first releases": (
        edited(OLD_LAYOUT, ("C3, [128]]", "C3, [128]]\n" + CBAM_ROW.format(8).rstrip())),
        edited(
            OLD_LAYOUT,
            ("C3, [128]]", "C3, [128]]\n" + CBAM_ROW.format(8).rstrip()),
            ("[-1, 6]", "[-1, 7]"),
            ("[-1, 4]", "[-1, 5]"),
            ("[-1, 14]", "[-1, 15]"),
            ("[-1, 10]", "[-1, 11]"),
            ("[17, 20, 23]", "[18, 21, 24]"),
        ),
    ),
    "one inserted among replaced rows, only Detect not updated": (
        edited(REPLACED, ("Conv, [256, 1, 1]] # 14", "Conv, [256, 1, 1]] # 14\n" + CBAM_ROW.format(8).rstrip())),
        edited(
            REPLACED,
            ("Conv, [256, 1, 1]] # 14", "Conv, [256, 1, 1]] # 14\n" + CBAM_ROW.format(8).rstrip()),
            ("[17, 20, 23]", "[18, 21, 24]"),
        ),
    ),
    "after every C3 of the head": (
        inserted_after("# 17, stride 8", "# 20, stride 16", "# 23, stride 32"),
        edited(
            inserted_after("# 17, stride 8", "# 20, stride 16", "# 23, stride 32"),
            ("[17, 20, 23]", "[18, 22, 26]"),
        ),
    ),
    "after every C3 of the backbone": (
        inserted_after("C3, [128]]", "C3, [256]] # 4", "C3, [512]] # 6", "C3, [1024]]"),
        edited(
            inserted_after("C3, [128]]", "C3, [256]] # 4", "C3, [512]] # 6", "C3, [1024]]"),
            ("[-1, 6]", "[-1, 8]"),
            ("[-1, 4]", "[-1, 5]"),
            ("[-1, 14]", "[-1, 18]"),
            ("[-1, 10]", "[-1, 14]"),
            ("[17, 20, 23]", "[21, 24, 27]"),
        ),
    ),
}


@pytest.mark.parametrize("case", FIXABLE)
def test_shifted_row_numbers_are_corrected_and_nothing_else_changes(case: str, tmp_path: Path) -> None:
    text, right = FIXABLE[case]
    file = tmp_path / "model.yaml"
    file.write_text(text)
    assert any(finding.is_fault for finding in check_model_file(file))
    correction = fix_model_file(file)
    assert correction.text == right
    assert correction.changes
    assert correction.remaining == ()
    file.write_text(correction.text)
    assert check_model_file(file) == []


ENDS = (
    "[64, 6, 2, 2]] # 0, stride 2",
    "C3, [128]]",
    "C3, [256]] # 4",
    "C3, [512]] # 6",
    "C3, [1024]]",
    "SPPF, [1024, 5]] # 9",
    "Conv, [512, 1, 1]] # 10",
    "[512, False]] # 13",
    "Conv, [256, 1, 1]] # 14",
    "[256, False]] # 17, stride 8",
    "[512, False]] # 20, stride 16",
    "[1024, False]] # 23, stride 32",
)


@pytest.mark.parametrize("end", ENDS)
def test_one_attention_row_inserted_anywhere_is_found_and_corrected(end: str, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(inserted_after(end))
    assert any(finding.is_fault for finding in check_model_file(file))
    correction = fix_model_file(file)
    assert correction.changes
    file.write_text(correction.text)
    assert check_model_file(file) == []
    attendet.build(file)


def test_other_faults_remain(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(edited(UNSHIFTED, ("[1024, 16, 7]", "[1024, 1]")))
    correction = fix_model_file(file)
    assert len(correction.changes) == 5
    assert [finding.kind for finding in correction.remaining] == ["bottleneck"]

    file.write_text(FAULTY["Detect reads strides 16, 8, 16"][0])
    correction = fix_model_file(file)
    assert correction.changes == ()
    assert correction.text == FAULTY["Detect reads strides 16, 8, 16"][0]
    assert correction.remaining


@pytest.mark.parametrize("lateral", [4, 5])
def test_either_of_two_adjacent_attention_rows_may_be_read(lateral: int, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    second = "CBAM, [256, ratio]] # 4\n" + CBAM_ROW.format(8).rstrip()
    file.write_text(
        edited(
            REPLACED,
            ("CBAM, [256, ratio]] # 4", second),
            ("[-1, 4]", f"[-1, {lateral}]"),
            ("[-1, 6]", "[-1, 7]"),
            ("[-1, 14]", "[-1, 15]"),
            ("[-1, 10]", "[-1, 11]"),
            ("[17, 20, 23]", "[18, 21, 24]"),
        )
    )
    assert check_model_file(file) == []


def test_a_head_without_its_last_block_needs_one(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(
        edited(BASE, ("  - [-1, 3, C3, [1024, False]] # 23, stride 32\n", ""), ("[17, 20, 23]", "[17, 20, 22]"))
    )
    assert [finding.remedy for finding in check_model_file(file) if finding.kind == "detect-input"] == [
        "insert a block in between"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[nc, anchors]]", "[3, anchors]]"), "`nc` of the row must be that of the file, got 3; write nc"),
        (("[nc, anchors]]", "[nc, [[1, 2], [3, 4], [5, 6]]]]"), "`anchors` of the row must be that of the file"),
        (
            ("[-1, 6], 1, Concat, [1]", "[-1, 6], 1, Concat, [0]"),
            r"`dimension` of Concat must be 1 \(channels\), got 0",
        ),
        (("[-1, 6], 1, Concat", "[-1, 6], 9, Concat"), "the repeats of a block with several inputs must be 1, got 3"),
        (("1, Detect,", "9, Detect,"), "the repeats of a block with several inputs must be 1, got 3"),
        # Other releases expect groups, a dilation, or the ratio of CBAM at these positions.
        (("[-1, 9, C3, [512]]", "[-1, 9, C3, [512, True, 1]]"), "`e` must be a fraction such as 0.5 or 1.0, got 1"),
        (("[-1, 9, C3, [512]]", "[-1, 9, C3, [512, 2]]"), "`shortcut` must be True or False, got 2"),
        (("[-1, 9, C3, [512]]", "[-1, 9, C2f, [512, True, 2]]"), "`g` must be 1, got 2; convolutions in groups"),
        (("[-1, 9, C3, [512]]", "[-1, 9, BottleneckCSP, [512, 1]]"), "`shortcut` must be True or False, got 1"),
        (("[-1, 9, C3, [512]]", "[-1, 1, Conv, [512, 3, 1, 2, 1, 2]]"), "`act` must be True or False, got 2"),
        (("[-1, 9, C3, [512]]", "[-1, 1, DWConv, [512, 3, 1, 2]]"), "`act` must be True or False, got 2"),
        (
            ("[-1, 9, C3, [512]]", "[-1, 1, ResBlock_CBAM, [512, 16]]"),
            "`shortcut` must be a boolean, got 16; write options of cbam",
        ),
    ],
)
def test_arguments_that_would_be_ignored_or_misread_are_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(edited(BASE, change))
    with pytest.raises(ModelFileError, match=message):
        attendet.build(file)


def test_a_deliberate_change_of_the_original_is_not_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(edited(WITH_CBAM, ("[-1, 15]", "[-1, 13]")))
    assert check_model_file(file) == []
