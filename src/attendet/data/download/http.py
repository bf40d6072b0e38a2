"""Download of a file over HTTP, of bounded size, which resumes after an interruption."""

from __future__ import annotations

import base64
import http.client
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError

from attendet.errors import DataError, Location
from attendet.utils.text import short_repr

_CHUNK = 1 << 16
_TIMEOUT = 30.0
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_FIRST_SERVER_ERROR = 500


class _InterruptedDownloadError(Exception):
    """A lost connection, or a server that cannot answer at the moment; another attempt may succeed."""


def fetch(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    progress: Callable[[int, int], None] | None = None,
    attempts: int = 4,
    pause: float = 1.0,
    credentials: str | None = None,
) -> None:
    """Download a file. After an interruption, this call and later calls resume from a `.part` file next to the target.

    The content is not trusted: the caller has to verify it.

    Args:
        url: Address, http or https. Redirections from https to http are not followed.
        target: The file to write; it appears when it is complete.
        max_bytes: Largest size; a larger file is refused.
        progress: Called with the number of bytes downloaded and the size of the file (0 if the server does not send
            it).
        attempts: Number of attempts in this call.
        pause: Seconds before the second attempt; doubled before each further one.
        credentials: `user:password` for the server; not sent to servers that it redirects to.

    Raises:
        DataError: If the address is not valid, the server does not answer or has no such file, or the file is larger
            than `max_bytes`.
    """
    partial = target.with_name(f"{target.name}.part")
    for attempt in range(attempts):
        try:
            _fetch_rest(url, partial, max_bytes, progress or (lambda _done, _total: None), credentials)
        except _InterruptedDownloadError as error:
            if attempt + 1 == attempts:
                size = partial.stat().st_size if partial.exists() else 0
                resume = f" to resume after {size:,} bytes" if size else ""
                remedy = f"run the same command again{resume}"
                raise DataError(f"the download was interrupted: {error}", where=Location(url), remedy=remedy) from error
            time.sleep(pause * 2**attempt)
        else:
            partial.replace(target)
            return


def _fetch_rest(
    url: str, partial: Path, max_bytes: int, progress: Callable[[int, int], None], credentials: str | None
) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    response = _request(url, partial, start, credentials)
    if response is None:
        return
    with response:
        if response.status != _PARTIAL_CONTENT:
            # The server does not support ranges, and sends the whole file.
            start = 0
        elif not (response.headers["Content-Range"] or "").startswith(f"bytes {start}-"):
            partial.unlink(missing_ok=True)
            raise _InterruptedDownloadError("the server sent another part of the file than requested")
        length = response.headers["Content-Length"]
        total = start + int(length) if length and length.isdecimal() else 0
        with partial.open("ab" if start else "wb") as file:
            done = _copy(
                response, file, start, total, lambda done: _refuse_larger(url, partial, done, max_bytes), progress
            )
    if done < total:
        raise _InterruptedDownloadError(f"{done:,} of {total:,} bytes arrived")


def _request(url: str, partial: Path, start: int, credentials: str | None) -> http.client.HTTPResponse | None:
    """Return the response from byte `start` on, or None if the file ends there."""
    headers = {"User-Agent": "attendet", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={start}-"} if start else {}
    )
    if not url.startswith(("https://", "http://")):
        raise _invalid_address(url)
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - see _opener
        if credentials is not None:
            encoded = base64.b64encode(credentials.encode()).decode("ascii")
            request.add_unredirected_header("Authorization", f"Basic {encoded}")
        return _opener().open(request, timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and start:
            size = re.fullmatch(r"bytes \*/(\d+)", error.headers["Content-Range"] or "")
            if size and int(size[1]) == start:
                return None
            partial.unlink()
            raise _InterruptedDownloadError("the partial file is not the beginning of this file") from error
        if error.code >= _FIRST_SERVER_ERROR:
            raise _InterruptedDownloadError(f"the server answered {error.code} {error.reason}") from error
        raise DataError(f"the server answered {error.code} {error.reason}", where=Location(url)) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise _invalid_address(url) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _InterruptedDownloadError(f"the server cannot be reached ({getattr(error, 'reason', error)})") from error


def _invalid_address(url: str) -> DataError:
    return DataError("the address must be a valid http or https URL", where=Location(url), remedy="write https://…")


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    start: int,
    total: int,
    check_size: Callable[[int], None],
    progress: Callable[[int, int], None],
) -> int:
    done = start
    check_size(total)
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedDownloadError(f"{done:,} bytes arrived") from error
        if not chunk:
            return done
        file.write(chunk)
        done += len(chunk)
        check_size(done)
        progress(done, total)


def _refuse_larger(url: str, partial: Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        partial.unlink(missing_ok=True)
        raise DataError(f"the file must have at most {max_bytes:,} bytes, got more", where=Location(url))


class _SafeRedirectHandler(urllib.request.HTTPRedirectHandler):
    """A handler of redirections that refuses those from https to an unencrypted address."""

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
            raise DataError(f"the redirection to {short_repr(newurl)} is not followed", where=Location(req.full_url))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # urllib's default opener would also open file: and ftp: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _SafeRedirectHandler(),
    ):
        opener.add_handler(handler)
    return opener
