"""Archives of strangers: what would leave its folder, take the disk or the memory, or cannot be read."""

import struct
import zipfile
from pathlib import Path

import pytest

from attendet.data.download.archive import unpack
from attendet.errors import DataError
from tests.helpers.http_server import CHOSEN, CONTENT, zipped


def test_links_and_bombs_are_refused(tmp_path: Path) -> None:
    archive, target = tmp_path / "a.zip", tmp_path / "target"
    target.mkdir()
    link = zipfile.ZipInfo("top/images/link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="no ordinary file"):
        unpack(archive, target, CHOSEN, max_bytes=10**9)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("top/images/a.jpg", bytes(30_000_000))
    assert archive.stat().st_size < 100_000
    with pytest.raises(DataError, match="unpacks to 30,000,000 bytes"):
        unpack(archive, target, CHOSEN, max_bytes=10**7)
    # One that lies about its size: the stated sizes are small, the content is not.
    content = bytearray(archive.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        unpack(archive, target, {"images/*.jpg": ""}, max_bytes=10**7)
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= 1000
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(20):
            opened.writestr(f"top/images/{number}.jpg", b"")
    with pytest.raises(DataError, match="20 members; 10 are allowed"):
        unpack(archive, target, CHOSEN, max_bytes=10**7, max_files=10)


@pytest.mark.parametrize("lie", [None, "members", "everything"])
@pytest.mark.parametrize("comment", [b"", b"from GitHub"])
def test_a_long_list_of_members_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: bytes, lie: str | None
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.comment = comment
        for number in range(100):
            opened.writestr(f"top/images/{number}.jpg", b"")
    content = bytearray(archive.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    if lie:
        content[end + 8 : end + 12] = struct.pack("<2H", 3, 3)
    if lie == "everything":
        content[end:end] = b"PK\x06\x07" + bytes(16)
    archive.write_bytes(content)
    monkeypatch.setattr("attendet.data.download.archive.ZipFile", None)
    message = {None: "100 members; 10", "members": "bytes; 2,560 are", "everything": "more than 4 GiB"}[lie]
    with pytest.raises(DataError, match=message):
        unpack(archive, tmp_path, CHOSEN, max_bytes=10**9, max_files=10)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("damage", ["content", "header", "place"])
def test_damaged_archives(tmp_path: Path, kind: int, damage: str) -> None:
    content = bytearray(zipped({"top/images/a.jpg": bytes(range(256)) * 40}, kind))
    at = content.rindex(b"PK\x01\x02")
    if damage == "content":
        content[60:120] = b"\xff" * 60
    elif damage == "header":
        content[:4] = b"none"
    else:
        # Where the member begins: after the end of the file.
        content[at + 42 : at + 46] = (10**9).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="the archive is damaged"):
        unpack(tmp_path / "a.zip", tmp_path, CHOSEN, max_bytes=10**9)


def test_rare_ways_of_packing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(CONTENT, zipfile.ZIP_LZMA))
    with pytest.raises(DataError, match="packed in a rare way"):
        unpack(tmp_path / "a.zip", tmp_path, CHOSEN, max_bytes=10**9)
