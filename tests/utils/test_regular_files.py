"""A path that is not a regular file fails at once, with an error that names its kind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from attendet.errors import DataError, WeightsError
from attendet.utils.io import read_bytes
from attendet.utils.regular_files import open_regular

READ = "import sys; from pathlib import Path; from attendet.utils.io import read_bytes\n"
READ += "sys.stdout.buffer.write(read_bytes(Path(sys.argv[1]), 100))"


def refusal(path: str | Path, max_bytes: int | None = None) -> str:
    with pytest.raises(DataError) as caught:
        open_regular(path, max_bytes=max_bytes)
    return str(caught.value)


def test_a_regular_file_is_opened_at_its_start(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"four")
    with open_regular(file, max_bytes=4) as opened:
        assert opened.read() == b"four"
    link = tmp_path / "link"
    link.symlink_to(file)
    with open_regular(str(link)) as opened:
        assert opened.read() == b"four"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_with_and_without_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.yaml")
    message = f"{tmp_path / 'data.yaml'}: the path must be a regular file, got a pipe"
    assert refusal(tmp_path / "data.yaml") == message
    end = os.open(tmp_path / "data.yaml", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert refusal(tmp_path / "data.yaml") == message
    finally:
        os.close(end)


def test_folders_devices_and_sockets(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("must be a regular file, got a folder")
    assert refusal(os.devnull).endswith("must be a regular file, got a device")
    (tmp_path / "a.pt").symlink_to("/dev/zero")
    assert refusal(tmp_path / "a.pt").endswith("must be a regular file, got a device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert refusal(tmp_path / "s").endswith("must be a regular file, got a socket")


def test_missing_files_loops_and_impossible_names(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").endswith("none: the file cannot be read: No such file or directory")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "symbolic links" in refusal(tmp_path / "loop")
    assert refusal("a\0b").endswith("must not contain a null character")
    with pytest.raises(WeightsError):
        open_regular(tmp_path / "none", WeightsError)


def test_the_size_is_compared_before_reading(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    with file.open("wb") as sparse:
        sparse.truncate(2**40)
    assert refusal(file, max_bytes=2**20).endswith("the file is larger than 1,048,576 bytes")
    with pytest.raises(DataError, match="larger than 10 bytes"):
        read_bytes(file, max_bytes=10)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/fd/0"])
def test_pipes_that_the_user_hands_over_are_read(path: str) -> None:
    command = [sys.executable, "-c", READ, path]
    process = subprocess.run(command, input=b"nc: 80", capture_output=True, timeout=60, check=True)  # noqa: S603
    assert process.stdout == b"nc: 80"
