"""Files: atomic writing, bounded reading, and JSON that every reader accepts."""

import csv
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.errors import DataError, OptionError, OutputError
from attendet.utils.io import read_bytes, read_json, read_text, refuse_existing, write_atomically, write_csv, write_json
from attendet.utils.json_text import to_json

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(st.characters())
VALUES = st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=20)


def test_content_is_on_the_disk_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def sync(file: int) -> None:
        synced.append((os.fstat(file).st_size, (tmp_path / "a.txt").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with write_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("four")
    assert synced == [(4, False)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(tmp_path / "a.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def interrupted_write(path: Path) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


def test_a_block_that_writes_no_file_is_an_error(tmp_path: Path) -> None:
    no_file = pytest.raises(OutputError, match=r"a\.txt: cannot be written: No such file")
    with no_file, write_atomically(tmp_path / "a.txt"):
        pass


def test_a_broken_link_exists(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="already exists; choose another name"):
        refuse_existing(tmp_path / "a.txt")


def test_files_are_read_up_to_their_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    assert read_bytes(file, 8) == b"\xef\xbb\xbfa\r\nb\n"
    assert read_text(file, 8) == "a\nb\n"
    with pytest.raises(OptionError) as caught:
        read_text(file, 7, OptionError, remedy="shorten it")
    assert str(caught.value) == f"{file}: the file is larger than 7 bytes; shorten it"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", ": the file is not UTF-8 text; save it as UTF-8"),
        (b'{"a": 1,\n "b": }', ":2:7: the file is not JSON: Expecting value"),
        (b"[" * 100_000, ": the JSON has a number that is too long, or lists that are nested too deeply"),
        (b"9" * 5000, ": the JSON has a number that is too long, or lists that are nested too deeply"),
    ],
)
def test_broken_json_is_an_error_with_its_place(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_json(file, 200_000)
    assert str(caught.value) == f"{file}{message}"


def test_a_missing_file_and_a_folder_cannot_be_read(tmp_path: Path) -> None:
    problems = (
        (tmp_path / "no.json", "the file cannot be read: No such file or directory"),
        (tmp_path, "the path must be a regular file, got a folder"),
    )
    for path, problem in problems:
        with pytest.raises(DataError) as caught:
            read_json(path, 10)
        assert str(caught.value) == f"{path}: {problem}"


@given(VALUES)
def test_any_value_becomes_json_that_every_reader_accepts(value: Any) -> None:
    text = to_json(value)
    text.encode("utf-8")

    def reject(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(text, parse_constant=reject) == with_nulls(value)


def with_nulls(value: Any) -> Any:
    """Return a value with None for each NaN and infinity."""
    match value:
        case list():
            return [with_nulls(item) for item in value]
        case dict():
            return {key: with_nulls(item) for key, item in value.items()}
        case float() if math.isnan(value) or math.isinf(value):
            return None
        case _:
            return value


def test_json_and_csv_files_are_read_back(tmp_path: Path) -> None:
    rows = [{"name": 'a, "b"\n', "map50": 0.5}, {"name": "зебра", "map50": None}]
    write_json(tmp_path / "new" / "a.json", rows)
    write_csv(tmp_path / "new" / "a.csv", rows)
    assert read_json(tmp_path / "new" / "a.json", 1000) == rows
    with (tmp_path / "new" / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"name": 'a, "b"\n', "map50": "0.5"}, {"name": "зебра", "map50": ""}]
