"""Files that are there whole or not at all."""

import os
from pathlib import Path

import pytest

from attendet.errors import OutputError
from attendet.utils.io import refuse_existing, write_atomically


def test_what_is_written_is_on_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def sync(file: int) -> None:
        seen.append((os.fstat(file).st_size, (tmp_path / "a.txt").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with write_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("four")
    assert seen == [(4, False)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nothing_is_left_of_what_is_broken_off(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / "a.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def break_off(path: Path) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


def test_a_block_that_writes_nothing_is_told(tmp_path: Path) -> None:
    no_file = pytest.raises(OutputError, match=r"a\.txt: cannot be written: No such file")
    with no_file, write_atomically(tmp_path / "a.txt"):
        pass


def test_links_that_lead_nowhere_exist(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="already exists; choose another name"):
        refuse_existing(tmp_path / "a.txt")
