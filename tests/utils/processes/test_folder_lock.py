"""One process works in a folder at a time; its lock ends when it is killed."""

import errno
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from attendet.errors import OptionError, OutputError
from attendet.utils.processes.folder_lock import exclusive_lock

LOCK_AND_WAIT = """
import sys, time
from pathlib import Path
from attendet.utils.processes.folder_lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "run"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_another_process_is_named_and_its_lock_ends_when_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LOCK_AND_WAIT, tmp_path], stdout=subprocess.PIPE) as holder:  # noqa: S603
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        expected = (
            f"{tmp_path}: another process works in this folder: process {holder.pid} on {socket.gethostname()}; "
            "wait until its run has ended, or stop it"
        )
        with pytest.raises(OptionError) as refused, exclusive_lock(tmp_path, "run"):
            pass
        assert str(refused.value) == expected
        holder.send_signal(signal.SIGKILL)
    assert (tmp_path / ".lock").exists()
    with exclusive_lock(tmp_path, "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_same_process_cannot_lock_a_folder_twice(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path, "run"):
        with pytest.raises(OptionError, match=rf"process {os.getpid()} on"), exclusive_lock(tmp_path, "run"):
            pass
        with exclusive_lock(tmp_path / "other", "run"):
            pass


def test_the_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(tmp_path, "run"):
        raise ZeroDivisionError
    with exclusive_lock(tmp_path, "run"):
        pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("content")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(precious)
    with pytest.raises(OutputError, match="cannot be written"), exclusive_lock(tmp_path / "run", "run"):
        pass
    assert precious.read_text() == "content"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "a"}', bytes(5000)])
def test_a_holder_that_has_not_written_its_number(tmp_path: Path, content: bytes) -> None:
    with exclusive_lock(tmp_path, "run"):
        (tmp_path / ".lock").write_bytes(content)
        with pytest.raises(OptionError, match="it has not written its number"), exclusive_lock(tmp_path, "run"):
            pass


def test_a_file_system_without_locks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING), exclusive_lock(tmp_path, "run"):
        pass
    expected = f"{tmp_path}: a second process in this folder would not be noticed: No locks available"
    assert caplog.messages == [expected]
