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
    """Settings of the server, and the ranges that clients requested."""

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


@contextmanager
def open_site() -> Iterator[Site]:
    state = Site()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
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

    with serve(Handler) as address:
        state.url = f"{address}/set.zip"
        yield state


def zipped(content: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return packed.getvalue()
