"""Cells that spreadsheets would take for formulas."""

import csv
from pathlib import Path

import pytest

from attendet.utils.csv_text import csv_cell
from attendet.utils.io import write_csv


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "-", "+a.jpg", "=", "--1"]
)
def test_formulas_become_text(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", ["cat", "", "a=b", " =1", "'=1", "-1", "+1.5e-3", "-.5", "-inf", "nan", -2, 0.5, None, True]
)
def test_everything_else_stays(value: object) -> None:
    assert csv_cell(value) == value


def test_tables_are_written_with_safe_cells(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"=name": "=1", "value": -0.5}, {"=name": "cat", "value": "-0.25"}])
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["'=name", "value"], ["'=1", "-0.5"], ["cat", "-0.25"]]
