"""Hostile and damaged archives: links, archives that would fill the disk or the memory, and rare compression."""

import struct
import zipfile
from pathlib import Path

import pytest

from attendet.data.download.archive import extract
from attendet.errors import DataError
from tests.helpers.http_server import CHOSEN, CONTENT, zip_bytes


def test_links_and_bombs_are_refused(tmp_path: Path) -> None:
    archive, target = tmp_path / "a.zip", tmp_path / "target"
    target.mkdir()
    link = zipfile.ZipInfo("top/images/link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="must be a regular file"):
        extract(archive, target, CHOSEN, max_bytes=10**9)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("top/images/a.jpg", bytes(30_000_000))
    assert archive.stat().st_size < 100_000
    with pytest.raises(DataError, match="must expand to at most 10,000,000 bytes, got 30,000,000"):
        extract(archive, target, CHOSEN, max_bytes=10**7)
    # The stated size is small, the content is not.
    content = bytearray(archive.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        extract(archive, target, {"images/*.jpg": ""}, max_bytes=10**7)
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= 1000
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(20):
            opened.writestr(f"top/images/{number}.jpg", b"")
    with pytest.raises(DataError, match="must have at most 10 members, got 20"):
        extract(archive, target, CHOSEN, max_bytes=10**7, max_files=10)


@pytest.mark.parametrize("false", [None, "members", "everything"])
@pytest.mark.parametrize("comment", [b"", b"from GitHub"])
def test_a_large_central_directory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: bytes, false: str | None
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.comment = comment
        for number in range(100):
            opened.writestr(f"top/images/{number}.jpg", b"")
    content = bytearray(archive.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    if false:
        content[end + 8 : end + 12] = struct.pack("<2H", 3, 3)
    if false == "everything":
        content[end:end] = b"PK\x06\x07" + bytes(16)
    archive.write_bytes(content)
    monkeypatch.setattr("attendet.data.download.archive.ZipFile", None)
    message = {None: "at most 10 members, got 100", "members": "at most 2,560 bytes", "everything": "ZIP64"}[false]
    with pytest.raises(DataError, match=message):
        extract(archive, tmp_path, CHOSEN, max_bytes=10**9, max_files=10)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("damage", ["content", "header", "offset", "directory"])
def test_damaged_archives(tmp_path: Path, kind: int, damage: str) -> None:
    content = bytearray(zip_bytes({"top/images/a.jpg": bytes(range(256)) * 40}, kind))
    at = content.rindex(b"PK\x01\x02")
    if damage == "content":
        content[60:120] = b"\xff" * 60
    elif damage == "header":
        content[:4] = b"none"
    elif damage == "directory":
        # The directory seems to start later than it does, so that the member begins before the start of the file.
        end = content.rindex(b"PK\x05\x06")
        content[end + 16 : end + 20] = (at + 1000).to_bytes(4, "little")
    else:
        # The member begins after the end of the file.
        content[at + 42 : at + 46] = (10**9).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="the archive is damaged"):
        extract(tmp_path / "a.zip", tmp_path, CHOSEN, max_bytes=10**9)


def test_rare_compression_methods_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes(CONTENT, zipfile.ZIP_LZMA))
    with pytest.raises(DataError, match="must be stored or deflated"):
        extract(tmp_path / "a.zip", tmp_path, CHOSEN, max_bytes=10**9)


def test_a_member_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    content = zip_bytes({"top/images/a.jpg": b"first", "top/images/b.jpg": b"second"}, zipfile.ZIP_STORED)
    (tmp_path / "a.zip").write_bytes(content.replace(b"b.jpg", b"a.jpg"))
    with pytest.raises(DataError, match=r"archive member 'top/images/a.jpg' must occur once"):
        extract(tmp_path / "a.zip", tmp_path, CHOSEN, max_bytes=10**9)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
