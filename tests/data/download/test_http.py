"""Downloads from a server that loses connections, refuses requests, or redirects to other protocols."""

import io
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import pytest

from attendet.data.download.http import _SafeRedirectHandler, fetch
from attendet.errors import DataError
from tests.helpers.http_server import Site


def test_a_download_resumes_after_a_lost_connection(site: Site, tmp_path: Path) -> None:
    site.content = bytes(range(256)) * 2000
    site.cuts, site.cut_after = 2, 100_000
    fetch(site.url, tmp_path / "file", max_bytes=10**6, pause=0)
    assert (tmp_path / "file").read_bytes() == site.content
    assert site.requested_ranges == [None, "bytes=100000-", "bytes=200000-"]


def test_the_next_call_resumes_a_download(site: Site, tmp_path: Path) -> None:
    site.content = bytes(range(256)) * 2000
    site.cuts, site.cut_after = 1, 300_000
    with pytest.raises(DataError, match="300,000 of 512,000 bytes arrived"):
        fetch(site.url, tmp_path / "file", max_bytes=10**6, attempts=1)
    assert not (tmp_path / "file").exists()
    fetch(site.url, tmp_path / "file", max_bytes=10**6, attempts=1)
    assert (tmp_path / "file").read_bytes() == site.content
    assert site.requested_ranges == [None, "bytes=300000-"]


def test_a_server_without_ranges_sends_the_whole_file_again(site: Site, tmp_path: Path) -> None:
    site.content, site.supports_ranges = bytes(range(256)) * 2000, False
    site.cuts, site.cut_after = 1, 300_000
    fetch(site.url, tmp_path / "file", max_bytes=10**6, pause=0)
    assert (tmp_path / "file").read_bytes() == site.content


def test_a_server_that_sends_no_valid_length(site: Site, tmp_path: Path) -> None:
    site.content, site.length = b"x" * 200_000, "many"
    fetch(site.url, tmp_path / "file", max_bytes=10**6)
    assert (tmp_path / "file").stat().st_size == 200_000
    site.sends_length = False
    fetch(site.url, tmp_path / "file", max_bytes=10**6)
    assert (tmp_path / "file").stat().st_size == 200_000
    with pytest.raises(DataError, match="must have at most 100,000 bytes"):
        fetch(site.url, tmp_path / "other", max_bytes=100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("partial", "requests"), [(b"x" * 2000, 1), (b"x" * 3000, 2)])
def test_a_partial_file_that_is_complete_or_too_long(site: Site, tmp_path: Path, partial: bytes, requests: int) -> None:
    site.content = b"x" * 2000
    (tmp_path / "file.part").write_bytes(partial)
    fetch(site.url, tmp_path / "file", max_bytes=10**6, pause=0)
    assert (tmp_path / "file").read_bytes() == site.content
    assert len(site.requested_ranges) == requests


def test_errors_of_the_server(site: Site, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(DataError, match="404 Not Found"):
        fetch(site.url, tmp_path / "file", max_bytes=100)
    assert len(site.requested_ranges) == 1
    site.status = 503
    with pytest.raises(DataError, match=r"503.*run the same command again"):
        fetch(site.url, tmp_path / "file", max_bytes=100, attempts=3, pause=0)
    assert len(site.requested_ranges) == 4
    site.status = None
    site.content = b"x" * 200
    with pytest.raises(DataError, match="must have at most 100 bytes"):
        fetch(site.url, tmp_path / "file", max_bytes=100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a.zip"])
def test_only_http_and_https_are_opened(site: Site, tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="must be a valid http or https URL"):
        fetch(url, tmp_path / "file", max_bytes=100)
    site.redirect = url
    with pytest.raises(DataError, match=r"not followed|not allowed"):
        fetch(site.url, tmp_path / "file", max_bytes=100, attempts=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://127.0.0.1/a b", "http://127.0.0.1/ä"])
def test_invalid_addresses_are_refused_without_waiting(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="must be a valid http or https URL"):
        fetch(url, tmp_path / "file", max_bytes=100, pause=1000)


def test_a_redirection_never_leaves_https() -> None:
    original = urllib.request.Request("https://example.org/a.zip")
    follow = _SafeRedirectHandler().redirect_request
    with pytest.raises(DataError, match="not followed"):
        follow(original, io.BytesIO(), 302, "", HTTPMessage(), "http://example.org/a.zip")
    followed = follow(original, io.BytesIO(), 302, "", HTTPMessage(), "https://codeload.example.org/a.zip")
    assert followed is not None
    assert followed.full_url == "https://codeload.example.org/a.zip"


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "file", max_bytes=100, attempts=2, pause=0)
