"""A file from the web: within a size, going on where a broken download stopped."""

from __future__ import annotations

import http.client
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError

from attendet.errors import DataError, Location

CHUNK = 1 << 16
TIMEOUT = 30.0
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416
FIRST_SERVER_ERROR = 500


class _BrokenError(Exception):
    """The connection ended too early, or the server could not answer just now: worth another attempt."""


def fetch(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    progress: Callable[[int, int], None] | None = None,
    attempts: int = 4,
    pause: float = 1.0,
) -> None:
    """Download a file; what has arrived stays beside it as `.part`, and the next call goes on from there.

    What arrives is not trusted: the caller checks the content.

    Args:
        url: http or https; a redirection never leads from https to http.
        target: The file to write, once it is whole.
        max_bytes: A longer file is refused.
        progress: Called with the bytes that have arrived and the bytes there are (0 where the server does not tell).
        attempts: How often a broken connection is taken up again.
        pause: Seconds before that, and twice as many each time.

    Raises:
        DataError: If the address does not answer, has no such file, or the file is longer than `max_bytes`.
    """
    partial = target.with_name(f"{target.name}.part")
    for attempt in range(attempts):
        try:
            _fetch_rest(url, partial, max_bytes, progress or (lambda _done, _total: None))
        except _BrokenError as error:
            if attempt + 1 == attempts:
                here = partial.stat().st_size if partial.exists() else 0
                kept = f"; {here:,} bytes are here and will not be fetched twice" if here else ""
                remedy = f"run the same command again{kept}"
                raise DataError(f"the download broke off: {error}", where=Location(url), remedy=remedy) from error
            time.sleep(pause * 2**attempt)
        else:
            partial.replace(target)
            return


def _fetch_rest(url: str, partial: Path, max_bytes: int, progress: Callable[[int, int], None]) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    response = _open(url, partial, start)
    if response is None:
        return
    with response:
        if response.status != PARTIAL_CONTENT:
            # The server cannot go on where we stopped, and sends everything.
            start = 0
        elif not (response.headers["Content-Range"] or "").startswith(f"bytes {start}-"):
            partial.unlink(missing_ok=True)
            raise _BrokenError("the server sent another part than the one asked for")
        length = response.headers["Content-Length"]
        total = start + int(length) if length and length.isdecimal() else 0
        with partial.open("ab" if start else "wb") as file:
            done = _copy(response, file, start, total, lambda done: _bound(url, partial, done, max_bytes), progress)
    if done < total:
        raise _BrokenError(f"{done:,} of {total:,} bytes arrived")


def _open(url: str, partial: Path, start: int) -> http.client.HTTPResponse | None:
    """Return the answer from byte `start` on; None where there is nothing after it."""
    headers = {"User-Agent": "attendet", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={start}-"} if start else {}
    )
    if not url.startswith(("https://", "http://")):
        raise DataError("it is no web address", where=Location(url), remedy="write https://…")
    try:
        return _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)  # noqa: S310  # see _opener
    except HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and start:
            whole = re.fullmatch(r"bytes \*/(\d+)", error.headers["Content-Range"] or "")
            if whole and int(whole[1]) == start:
                return None
            partial.unlink()
            raise _BrokenError("what was here is not the beginning of that file") from error
        if error.code >= FIRST_SERVER_ERROR:
            raise _BrokenError(f"the server answers {error.code} {error.reason}") from error
        raise DataError(f"the server answers {error.code} {error.reason}", where=Location(url)) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DataError("it is no web address", where=Location(url), remedy="write https://…") from error
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _BrokenError(f"the server cannot be reached ({getattr(error, 'reason', error)})") from error


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    start: int,
    total: int,
    bound: Callable[[int], None],
    progress: Callable[[int, int], None],
) -> int:
    done = start
    bound(total)
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(f"{done:,} bytes arrived") from error
        if not chunk:
            return done
        file.write(chunk)
        done += len(chunk)
        bound(done)
        progress(done, total)


def _bound(url: str, partial: Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        partial.unlink(missing_ok=True)
        raise DataError(f"the file has more than the {max_bytes:,} bytes expected", where=Location(url))


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not from https to something that anyone on the way can change."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://" if req.full_url.startswith("https://") else ("https://", "http://")):
            raise DataError(f"it leads to {newurl!r}, which is not followed", where=Location(req.full_url))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # Put together by hand: urllib's usual one also opens file: and ftp: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoDowngrade(),
    ):
        opener.add_handler(handler)
    return opener
