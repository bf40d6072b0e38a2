"""`attendet clean` removes what killed commands left, and reports it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.data.reading.file_cache import cache_path
from attendet.ops.cbam.compiler import cache_folder
from attendet.utils.processes.temporary_files import temporary_place
from tests.helpers.command import CommandResult

NAME = ".attendet-0123456789abcdef0123456789abcdef"


@pytest.fixture
def leftover(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "exp" / "weights" / NAME
    folder.mkdir(parents=True)
    (folder / "best.safetensors").write_bytes(bytes(12345))
    return folder


def test_it_lists_the_removed_files_and_their_bytes(attendet: Callable[..., CommandResult], leftover: Path) -> None:
    place = f"runs/exp/weights/{NAME}"
    dry = attendet("clean", "--dry-run")
    assert dry == (0, f"would remove {place}: 12,345 bytes\nwould remove 1 item, 12,345 bytes\n", "")
    assert leftover.exists()
    assert attendet("clean") == (0, f"removed {place}: 12,345 bytes\nremoved 1 item, 12,345 bytes\n", "")
    assert not leftover.exists()
    assert leftover.parent.exists()
    assert attendet("clean", "runs") == (0, "removed 0 items, 0 bytes\n", "")


def test_a_file_of_a_running_process_is_kept(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    with temporary_place(tmp_path / "a.png") as temporary:
        temporary.touch()
        done = attendet("clean", "--json")
        assert temporary.exists()
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert (content["removed"], content["bytes"]) == ([], 0)
    assert [(each["path"], each["kept"]) for each in content["kept"]] == [
        (temporary.parent.name, "a running process uses it")
    ]


def test_the_cache_is_removed_on_request_only(
    attendet: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    labels, compiled = cache_path(tmp_path / "set"), cache_folder() / f"cbam-{'0' * 24}.so"
    other, link = cache_folder() / "notes.txt", cache_folder() / f"cbam-{'1' * 24}.so"
    cache_folder().mkdir(parents=True)
    for path in (labels, compiled, other):
        path.write_bytes(bytes(10))
    link.symlink_to(other)
    assert attendet("clean").stdout == "removed 0 items, 0 bytes\n"
    assert attendet("clean", "--cache", "--dry-run").stdout.splitlines()[-1] == "would remove 2 items, 20 bytes"
    assert labels.exists()
    assert attendet("clean", "--cache").returncode == 0
    assert sorted(path.name for path in cache_folder().iterdir()) == sorted([other.name, link.name])


def test_a_missing_folder_is_an_error(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("clean", "nowhere")
    assert done == (2, "", "attendet: nowhere: file not found; name a folder, such as runs\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may remove everything")
def test_a_folder_without_permission_is_kept(attendet: Callable[..., CommandResult], leftover: Path) -> None:
    leftover.parent.chmod(0o500)
    try:
        done = attendet("clean")
    finally:
        leftover.parent.chmod(0o700)
    assert done.returncode == 1
    assert "kept" in done.stdout
    assert "Permission denied" in done.stdout
