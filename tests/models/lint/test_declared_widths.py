"""Declared widths and ratios: no false faults, and every remedy removes its fault."""

from __future__ import annotations

import re

import pytest

from attendet.models.bundled import bundled_text
from attendet.models.findings import Finding
from attendet.models.lint.checker import check_model_file
from attendet.models.yaml.model_file import read_model_file


def findings(row: str, dialect: str = "auto") -> list[Finding]:
    """Return the findings about a bundled file with another row in place of CBAM, whose input has 512 channels."""
    text = bundled_text("yolov5s_CBAM")
    text = text.replace("[-1, 1, CBAM, [1024, 16, 7]]", row)
    return check_model_file(read_model_file(text, "model.yaml"), dialect=dialect)


@pytest.mark.parametrize(
    "row",
    [
        *("[-1, 1, CoordAtt, [1024, 1024]]", "[-1, 1, CA, [1024, 1024, 32]]", "[-1, 1, GAM, [1024, 1024]]"),
        *("[-1, 1, EMA, [1024]]", "[-1, 1, SKAttention, [1024]]", "[-1, 1, SimAM, []]", "[-1, 1, NAM, [1024, 1024]]"),
    ],
)
def test_two_equal_widths_do_not_declare_a_ratio(row: str) -> None:
    assert [finding for finding in findings(row) if finding.is_fault] == []


def test_a_width_that_fits_without_scaling_is_a_remark() -> None:
    [finding] = findings("[-1, 1, CBAM, [512, 7]]")
    assert (finding.kind, finding.is_fault) == ("unscaled-width", False)
    assert str(finding).endswith(
        "CBAM declares 512 channels, the number of its input if widths are not scaled; name the dialect `unscaled`"
    )
    assert findings("[-1, 1, CBAM, [512, 7]]", dialect="unscaled") == []


@pytest.mark.parametrize(
    "row",
    [
        # The dialect `unscaled` cannot read three numbers, and would take 16 for a kernel size.
        "[-1, 1, CBAM, [512, 16, 7]]",
        "[-1, 1, CBAM, [512, 16]]",
        "[-1, 1, CBAM, [256]]",
        "[-1, 1, CBAM, [2048]]",
    ],
)
def test_the_dialect_unscaled_is_named_only_if_it_reads_the_file(row: str) -> None:
    [finding] = findings(row)
    assert (finding.kind, finding.remedy) == ("width", "declare 1024")


def test_one_scaled_width_makes_an_unscaled_one_a_fault() -> None:
    text = bundled_text("yolov5s_CBAM-C3").replace("CBAM, [1024, ratio]", "CBAM, [512]")
    [finding] = check_model_file(read_model_file(text, "model.yaml"))
    assert (finding.kind, finding.row, finding.remedy) == ("width", 8, "declare 1024")


@pytest.mark.parametrize(
    ("width_multiple", "row"),
    [(0.5, "[512, 16]"), (0.33, "[512]"), (0.37, "[64, 8]"), (1.25, "[64]"), (0.0234375, "[512]")],
)
def test_the_remedy_of_a_wrong_width_removes_it(width_multiple: float, row: str) -> None:
    text = bundled_text("yolov5s_CBAM").replace("width_multiple: 0.50", f"width_multiple: {width_multiple}")
    wrong = text.replace("CBAM, [1024, 16, 7]", f"CBAM, {row}")
    [finding] = [found for found in check_model_file(read_model_file(wrong, "a.yaml")) if found.kind == "width"]
    number = re.fullmatch(r"declare (\d+)", finding.remedy)
    assert number is not None or finding.remedy == "declare no width"
    _, comma, rest = row.strip("[]").partition(", ")
    right = f"[{number[1]}{comma}{rest}]" if number else f"[{rest}]"
    text = text.replace("CBAM, [1024, 16, 7]", f"CBAM, {right}")
    assert "width" not in [found.kind for found in check_model_file(read_model_file(text, "a.yaml"))]


@pytest.mark.parametrize("width_multiple", [0.0625, 0.125, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("ratio", [1, 64, 512])
def test_the_remedy_of_a_wrong_ratio_removes_it(width_multiple: float, ratio: int) -> None:
    text = bundled_text("yolov5s_CBAM").replace("width_multiple: 0.50", f"width_multiple: {width_multiple}")
    wrong = check_model_file(read_model_file(text.replace("[1024, 16, 7]", f"[{{reduction: {ratio}}}]"), "a.yaml"))
    doubted = check_model_file(read_model_file(text.replace("[1024, 16, 7]", f"[1024, {ratio}, 7]"), "a.yaml"))
    for finding in (*wrong, *doubted):
        remedy = re.search(r"use a (ratio|reduction) of (\d+)", finding.remedy)
        assert finding.kind in ("bottleneck", "unbuildable")
        assert remedy is not None, finding
        args = f"[1024, {remedy[2]}, 7]" if remedy[1] == "ratio" else f"[{{reduction: {remedy[2]}}}]"
        right = text.replace("[1024, 16, 7]", args)
        assert check_model_file(read_model_file(right, "a.yaml")) == []
