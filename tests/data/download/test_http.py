"""Files over a real connection: a server in a thread, that also misbehaves."""

import io
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import pytest

from attendet.data.download.http import _NoDowngrade, fetch
from attendet.errors import DataError
from tests.helpers.http_server import Site


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


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "file", max_bytes=100, attempts=2, pause=0)
