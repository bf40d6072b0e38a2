"""Printed tables: terminals, logs, colors, several tables, totals, and texts without a table."""

from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.models.printed_table import PrintedRow, load_printed_table, read_printed_table

TABLE = """\
                 from  n    params  module                                  arguments
  0                -1  1      3520  models.common.Conv                      [3, 32, 6, 2, 2]
  1                -1  2    115712  models.common.C3                        [128, 128, 2]
  2                -1  1         0  torch.nn.modules.upsampling.Upsample    [None, 2, 'nearest']
  3           [-1, 1]  1         0  models.common.Concat                    [1]
  4       [1, 2, 3]    1     16182  models.yolo.Detect                      [3, [[10, 13], [30, 61]], [32, 64]]
"""
ROWS = (("Conv", 3520), ("C3", 115712), ("Upsample", 0), ("Concat", 0), ("Detect", 16182))


def rows_of(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((row.module, row.parameters) for row in read_printed_table(text).rows)


def test_a_table_is_read_with_the_number_of_classes() -> None:
    table = read_printed_table(TABLE)
    assert rows_of(TABLE) == ROWS
    assert table.rows[0] == PrintedRow("Conv", 3520)
    assert (table.num_classes, table.total) == (3, None)


@pytest.mark.parametrize(
    "prefix", ["", "2023-04-01 12:00:00,123 INFO: ", "\x1b[34m\x1b[1mtrain: \x1b[0m", "[12:00] (yolo) worker 0 | "]
)
def test_lines_of_a_log_may_begin_with_times_names_and_colors(prefix: str) -> None:
    text = "".join(f"{prefix}{line}\r\n" for line in TABLE.splitlines())
    assert rows_of(text) == ROWS


def test_thousands_may_be_separated_and_arguments_may_be_cut_off() -> None:
    assert rows_of(TABLE.replace("115712", "115,712").replace(", [32, 64]]", ", [32, ...")) == ROWS


def test_of_several_tables_the_last_is_read() -> None:
    other = TABLE.replace("115712", "999").replace("[3, [[10", "[80, [[10")
    assert dict(rows_of(TABLE + "\nretraining\n" + other))["C3"] == 999
    assert read_printed_table(other + TABLE).num_classes == 3


@pytest.mark.parametrize(
    ("line", "total", "is_fused"),
    [
        ("Model summary: 270 layers, 7022326 parameters, 7022326 gradients, 15.8 GFLOPs", 7022326, False),
        ("YOLOv5s summary: 157 layers, 7012822 parameters, 0 gradients, 15.8 GFLOPs", 7012822, True),
        ("YOLOv8n summary (fused): 168 layers, 3151904 parameters, 0 gradients, 8.7 GFLOPs", 3151904, True),
        ("YOLOv8n summary: 225 layers, 3,157,200 parameters, 3,157,184 gradients", 3157200, False),
        ("7,022,326", 7022326, False),
        (" 7022326\n", 7022326, False),
    ],
)
def test_totals(line: str, total: int, is_fused: bool) -> None:
    table = read_printed_table(line)
    assert (table.total, table.is_fused, table.rows) == (total, is_fused, ())


def test_a_total_before_fusion_is_preferred() -> None:
    fused = "Model summary: 157 layers, 7012822 parameters, 0 gradients\n"
    assert read_printed_table(f"Model summary: 270 layers, 7022326 parameters, 7022326 gradients\n{fused}").total == (
        7022326
    )


@pytest.mark.parametrize("text", ["", "no table here", "0 -1 1 x models.common.Conv [3]", "[1, 2]\n" * 10, "-5"])
def test_a_text_without_a_table_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"copy the lines `from n params module arguments`"):
        read_printed_table(text)


def test_a_file_is_read_and_a_binary_file_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(TABLE)
    assert len(load_printed_table(log).rows) == 5
    (tmp_path / "best.pt").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(OptionError, match=r"best\.pt"):
        load_printed_table(tmp_path / "best.pt")
    with pytest.raises(OptionError, match=r"missing\.txt: the file cannot be read"):
        load_printed_table(tmp_path / "missing.txt")


def test_very_long_lines_are_passed_over_quickly() -> None:
    with pytest.raises(OptionError):
        read_printed_table("0 -1 1 " * 200_000)
