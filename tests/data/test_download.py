"""Public sets over a real connection: a server in a thread, that also misbehaves."""

import hashlib
import io
import struct
import subprocess
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from attendet.data.archive import unpack
from attendet.data.catalogue import PublicSet, find, get, public_sets
from attendet.data.download import _NoDowngrade, fetch
from attendet.errors import DataError, OutputError, UnknownNameError
from tests.conftest import SHARED

TEXT = "path: .\ntrain: images\nval: images\nnames: [dot]\n"
CONTENT = {
    "top/images/a.jpg": b"one" * 90_000,
    "top/images/b.jpg": b"two" * 50_000,
    "top/labels/a.txt": b"0 .5 .5 1 1\n",
}
CHOSEN = {"images/*.jpg": "images", "labels/*.txt": "labels"}


@dataclass
class Site:
    """What the server does, and what it was asked."""

    content: bytes = b""
    ranges: bool = True
    cut_after: int | None = None
    cuts: int = 0
    status: int | None = None
    redirect: str | None = None
    tell_length: bool = True
    length: str | None = None
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.asked.append(asked)
            if state.status or state.redirect:
                self.send_response(state.status or 302)
                if state.redirect:
                    self.send_header("Location", state.redirect)
                self.end_headers()
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start and start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.end_headers()
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            if state.tell_length:
                self.send_header("Content-Length", state.length or str(len(body)))
            self.end_headers()
            if state.cuts:
                state.cuts -= 1
                body = body[: state.cut_after]
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/set.zip"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def zipped(content: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return packed.getvalue()


@pytest.fixture
def dots(tmp_path: Path) -> PublicSet:
    """A public set whose digest was computed by coreutils, not by us."""
    folder = tmp_path / "by_hand"
    for name, data in CONTENT.items():
        path = folder / name.removeprefix("top/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    command = "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S602
    return PublicSet("dots", "", "", "", "", CHOSEN, done.stdout.split()[0], TEXT)


def test_get_downloads_checks_and_writes_a_data_yaml(site: Site, dots: PublicSet, tmp_path: Path) -> None:
    site.content = zipped(CONTENT)
    told = []
    written = get(dots, tmp_path / "new" / "out", url=site.url, progress=lambda done, total: told.append((done, total)))
    assert written == tmp_path / "new" / "out" / "data.yaml"
    files = {str(path.relative_to(written.parent)): path.read_bytes() for path in written.parent.rglob("*.*")}
    assert files == {name.removeprefix("top/"): data for name, data in CONTENT.items()} | {"data.yaml": TEXT.encode()}
    assert told[-1] == (len(site.content), len(site.content))
    assert [path.name for path in written.parent.parent.iterdir()] == ["out"]


def test_a_cut_connection_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.content = bytes(range(256)) * 2000
    site.cuts, site.cut_after = 2, 100_000
    fetch(site.url, tmp_path / "file", max_bytes=10**6, pause=0)
    assert (tmp_path / "file").read_bytes() == site.content
    assert site.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_the_next_call_goes_on_too(site: Site, tmp_path: Path) -> None:
    site.content = bytes(range(256)) * 2000
    site.cuts, site.cut_after = 1, 300_000
    with pytest.raises(DataError, match="300,000 of 512,000 bytes arrived"):
        fetch(site.url, tmp_path / "file", max_bytes=10**6, attempts=1)
    assert not (tmp_path / "file").exists()
    fetch(site.url, tmp_path / "file", max_bytes=10**6, attempts=1)
    assert (tmp_path / "file").read_bytes() == site.content
    assert site.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_sends_all_of_it_again(site: Site, tmp_path: Path) -> None:
    site.content, site.ranges = bytes(range(256)) * 2000, False
    site.cuts, site.cut_after = 1, 300_000
    fetch(site.url, tmp_path / "file", max_bytes=10**6, pause=0)
    assert (tmp_path / "file").read_bytes() == site.content


def test_a_server_that_tells_no_length(site: Site, tmp_path: Path) -> None:
    site.content, site.length = b"x" * 200_000, "many"
    fetch(site.url, tmp_path / "file", max_bytes=10**6)
    assert (tmp_path / "file").stat().st_size == 200_000
    site.tell_length = False
    fetch(site.url, tmp_path / "file", max_bytes=10**6)
    assert (tmp_path / "file").stat().st_size == 200_000
    with pytest.raises(DataError, match="more than the 100,000 bytes"):
        fetch(site.url, tmp_path / "other", max_bytes=100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("here", "asked"), [(b"x" * 2000, 1), (b"x" * 3000, 2)])
def test_a_partial_file_that_is_whole_or_too_long(site: Site, tmp_path: Path, here: bytes, asked: int) -> None:
    site.content = b"x" * 2000
    (tmp_path / "file.part").write_bytes(here)
    fetch(site.url, tmp_path / "file", max_bytes=10**6, pause=0)
    assert (tmp_path / "file").read_bytes() == site.content
    assert len(site.asked) == asked


def test_what_a_server_refuses(site: Site, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(DataError, match="404 Not Found"):
        fetch(site.url, tmp_path / "file", max_bytes=100)
    assert len(site.asked) == 1
    site.status = 503
    with pytest.raises(DataError, match=r"503.*run the same command again"):
        fetch(site.url, tmp_path / "file", max_bytes=100, attempts=3, pause=0)
    assert len(site.asked) == 4
    site.status = None
    site.content = b"x" * 200
    with pytest.raises(DataError, match="more than the 100 bytes"):
        fetch(site.url, tmp_path / "file", max_bytes=100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a.zip"])
def test_only_the_web_is_opened(site: Site, tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="no web address"):
        fetch(url, tmp_path / "file", max_bytes=100)
    site.redirect = url
    with pytest.raises(DataError, match=r"not followed|not allowed"):
        fetch(site.url, tmp_path / "file", max_bytes=100, attempts=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://127.0.0.1/a b", "http://127.0.0.1/ä"])
def test_addresses_that_cannot_be_are_told_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="no web address"):
        fetch(url, tmp_path / "file", max_bytes=100, pause=1000)


def test_a_redirection_never_leaves_https() -> None:
    asked = urllib.request.Request("https://example.org/a.zip")
    follow = _NoDowngrade().redirect_request
    with pytest.raises(DataError, match="not followed"):
        follow(asked, io.BytesIO(), 302, "", HTTPMessage(), "http://example.org/a.zip")
    followed = follow(asked, io.BytesIO(), 302, "", HTTPMessage(), "https://codeload.example.org/a.zip")
    assert followed is not None
    assert followed.full_url == "https://codeload.example.org/a.zip"


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "file", max_bytes=100, attempts=2, pause=0)


def test_other_content_than_pinned_is_refused_and_removed(site: Site, dots: PublicSet, tmp_path: Path) -> None:
    site.content = zipped(CONTENT | {"top/images/a.jpg": b"another"})
    out = tmp_path / "out"
    with pytest.raises(DataError, match="not those of dots"):
        get(dots, out, url=site.url)
    site.content = zipped(CONTENT)[:-100]
    with pytest.raises(DataError, match="archive is damaged"):
        get(dots, out, url=site.url)
    site.content = zipped({"top/labels/a.txt": b""})
    with pytest.raises(DataError, match=r"no file images/\*.jpg"):
        get(dots, out, url=site.url)
    assert [path.name for path in tmp_path.iterdir()] == ["by_hand"]
    # Nothing of it stands in the way of a good download.
    site.content = zipped(CONTENT)
    get(dots, out, url=site.url)
    with pytest.raises(OutputError, match="it exists"):
        get(dots, out, url=site.url)


@pytest.mark.parametrize(
    "name", ["top/../../evil.txt", "/etc/evil", "top//evil", "C:/evil", "top\\..\\evil", "top/labels/a\x1b[2J.txt"]
)
def test_members_that_would_leave_the_folder(site: Site, dots: PublicSet, tmp_path: Path, name: str) -> None:
    site.content = zipped(CONTENT | {name: b"evil"})
    with pytest.raises(DataError, match="would leave its folder"):
        get(dots, tmp_path / "a" / "out", url=site.url)
    assert list((tmp_path / "a").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


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
    monkeypatch.setattr("attendet.data.archive.ZipFile", None)
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


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="there is no public data set 'pear'"):
        find("pear")


@pytest.mark.parametrize("name", ["bccd", "pear640"])
def test_the_catalogue_matches_the_public_files(site: Site, tmp_path: Path, name: str) -> None:
    original = SHARED / "data" / name
    if not original.is_dir():
        pytest.skip("the data sets are not here: they live beside the project, not in it")
    known = public_sets()[name]
    # The archive as GitHub would pack it: the repository's paths, with other files around them.
    back = {destination: Path(pattern) for pattern, destination in known.chosen.items() if destination}
    content = {"top/README.md": b"", "top/data/images/a.json": b"{}"}
    for destination, pattern in back.items():
        for path in (original / destination).iterdir():
            content[f"top/{pattern.parent}/{path.name}"] = path.read_bytes()
    if "LICENSE" in known.chosen:
        content["top/LICENSE"] = (original / "LICENSE").read_bytes()
    site.content = zipped(content, zipfile.ZIP_STORED)
    out = get(known, tmp_path / name, url=site.url).parent
    for listed in original.glob("*.txt"):
        assert (out / listed.name).read_text() == listed.read_text()
    photograph = next(original.rglob("*.jpg")).relative_to(original)
    assert hashlib.sha256((out / photograph).read_bytes()).digest() == (
        hashlib.sha256((original / photograph).read_bytes()).digest()
    )
