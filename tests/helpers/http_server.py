"""An HTTP server on this machine, and a site on it that can misbehave."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CHOSEN = {"images/*.jpg": "images", "labels/*.txt": "labels"}
CONTENT = {
    "top/images/a.jpg": b"one" * 90_000,
    "top/images/b.jpg": b"two" * 50_000,
    "top/labels/a.txt": b"0 .5 .5 1 1\n",
}


class QuietHandler:
    """A mixin for request handlers that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has there)
        pass


@contextmanager
def serve(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve in a thread, and yield the address, which bypasses any proxy."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "127.0.0.1")
            yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Site:
    """Settings of a server with one file, and the requests it received.

    Attributes:
        content: Content of the file.
        supports_ranges: Whether the server sends the requested part of the file instead of all of it.
        cuts: Number of responses after which the server closes the connection too early.
        cut_after: Number of bytes sent before the connection is closed.
        status: Status that is sent instead of the file.
        redirect: Address that is sent instead of the file.
        sends_length: Whether responses have a Content-Length.
        length: Text of the Content-Length, if it is not the true length.
        requested_ranges: The Range header of each request.
        url: Address of the file.
    """

    content: bytes = b""
    supports_ranges: bool = True
    cuts: int = 0
    cut_after: int | None = None
    status: int | None = None
    redirect: str | None = None
    sends_length: bool = True
    length: str | None = None
    requested_ranges: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def open_site() -> Iterator[Site]:
    """Serve the file of a site, whose settings may change between requests."""
    site = Site()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested = self.headers["Range"]
            site.requested_ranges.append(requested)
            if site.status or site.redirect:
                self.send_response(site.status or 302)
                if site.redirect:
                    self.send_header("Location", site.redirect)
                self.end_headers()
                return
            start = int(requested.removeprefix("bytes=").rstrip("-")) if requested and site.supports_ranges else 0
            if start and start >= len(site.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.content)}")
                self.end_headers()
                return
            body = site.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            if site.sends_length:
                self.send_header("Content-Length", site.length or str(len(body)))
            self.end_headers()
            if site.cuts:
                site.cuts -= 1
                body = body[: site.cut_after]
            self.wfile.write(body)

    with serve(Handler) as address:
        site.url = f"{address}/set.zip"
        yield site


def zip_bytes(content: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive of files by their paths."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return stream.getvalue()
