"""Leftovers of killed processes are removed, but no file of a living process, and nothing behind a link."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attendet.utils.io import write_atomically
from attendet.utils.processes.temporary_files import Leftover, download_folder, remove_leftovers, temporary_place

NAME = ".attendet-0123456789abcdef0123456789abcdef"

WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from attendet.utils.io import write_atomically
with write_atomically(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(bytes(1000))
    print("written", flush=True)
    time.sleep(60)
"""


def abandoned(folder: Path, size: int = 3) -> Path:
    """Create a leftover of some bytes, as a killed process leaves it."""
    path = folder / NAME
    path.mkdir(parents=True)
    (path / "a.txt").write_bytes(bytes(size))
    (path / ".lock").touch()
    return path


def test_the_file_of_a_killed_process_is_removed_and_that_of_a_living_one_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "deep" / "a.bin")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:  # noqa: S603
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        (kept,) = remove_leftovers(tmp_path)
        assert (kept.kept, kept.path.parent) == ("a running process uses it", tmp_path / "deep")
        assert (kept.path / "a.bin").stat().st_size == 1000
        writer.send_signal(signal.SIGKILL)
    (removed,) = remove_leftovers(tmp_path)
    assert removed == Leftover(kept.path, 1000, None)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    path = abandoned(tmp_path)
    assert remove_leftovers(tmp_path, dry_run=True) == [Leftover(path, 3, None)]
    assert path.is_dir()
    assert remove_leftovers(tmp_path) == [Leftover(path, 3, None)]
    assert not path.exists()


@pytest.mark.parametrize(
    "name", [".attendet-0123", ".attendet-get-", f"x{NAME}", NAME[1:], f"{NAME}0", NAME.upper(), ".lock", ".git"]
)
def test_other_names_are_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.txt").touch()
    assert remove_leftovers(tmp_path) == []
    assert (tmp_path / name / "a.txt").exists()


def test_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    precious = tmp_path / "elsewhere"
    outside = abandoned(precious)
    (tmp_path / "searched" / "inside").mkdir(parents=True)
    (tmp_path / "searched" / NAME).symlink_to(outside)
    (tmp_path / "searched" / "linked").symlink_to(precious)
    path = abandoned(tmp_path / "searched" / "inside")
    (path / "to").symlink_to(precious)
    (tmp_path / "searched" / "a" / NAME).parent.mkdir()
    (tmp_path / "searched" / "a" / NAME).write_text("a file, not a folder")
    assert [leftover.path for leftover in remove_leftovers(tmp_path / "searched")] == [path]
    assert (outside / "a.txt").exists()
    assert (tmp_path / "searched" / "a" / NAME).exists()


def test_a_hard_link_to_an_image_takes_no_bytes(tmp_path: Path) -> None:
    image = tmp_path / "a.jpg"
    image.write_bytes(bytes(5000))
    path = abandoned(tmp_path / "out", size=10)
    os.link(image, path / "a.jpg")
    assert remove_leftovers(tmp_path) == [Leftover(path, 10, None)]
    assert image.stat().st_size == 5000


def test_an_empty_folder_is_kept_until_its_process_has_had_time_to_lock_it(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.mkdir()
    assert [leftover.kept for leftover in remove_leftovers(tmp_path)] == ["it was created a moment ago"]
    before = time.time() - 60
    os.utime(path, (before, before))
    assert remove_leftovers(tmp_path) == [Leftover(path, 0, None)]


def test_an_interrupted_download_is_a_leftover(tmp_path: Path) -> None:
    folder = download_folder(tmp_path / "pears")
    folder.mkdir()
    (folder / "archive.zip.part").write_bytes(bytes(7))
    assert remove_leftovers(tmp_path) == [Leftover(folder, 7, None)]


def test_nothing_is_left_after_success_and_after_an_error(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("done")
    with pytest.raises(ZeroDivisionError), temporary_place(tmp_path / "b"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
