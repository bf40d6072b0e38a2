"""Small servers on this machine that send videos, cut connections, and come back."""

from __future__ import annotations

import itertools
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

Answer = Callable[["HttpRequest"], None]


class HttpRequest(BaseHTTPRequestHandler):
    """A request that a test answers."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, AnsweringServer)
        server.paths.append(self.path)
        answer = server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(404)
            return
        try:
            answer(self)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the signature of the base class)
        """Write nothing into the output of the tests."""

    def send(self, content: bytes, *, upto: int | None = None, kind: str = "video/mp4") -> None:
        """Send a file, or the part that a range asks for; stop after `upto` bytes of the file."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[start:upto])

    def send_jpegs(self, numbers: Iterator[int] | range, pause: Callable[[], object] = lambda: None) -> None:
        """Send gray pictures of 64x48 pixels, each of the brightness of its number, as a camera does."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in numbers:
            jpeg = gray_jpeg(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            pause()


class AnsweringServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), HttpRequest)
        self.answers = answers
        self.paths: list[str] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


def gray_jpeg(number: int) -> bytes:
    return cv2.imencode(".jpg", np.full((48, 64, 3), number, np.uint8))[1].tobytes()


@contextmanager
def http_server(answers: dict[str, Answer]) -> Iterator[AnsweringServer]:
    """Serve paths; a path without an answer is not found."""
    with AnsweringServer(answers) as server, _served(server):
        yield server


class RtspRequests(socketserver.StreamRequestHandler):
    """The requests of one RTSP client."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, RtspServer)
        while head := self._head():
            server.requests.append(head)
            method, address, *_ = head.split()
            number = re.search(r"CSeq: (\d+)", head)
            answer = [f"CSeq: {number[1] if number else 0}", "Session: 7"]
            if server.credentials is not None and f"Authorization: Basic {server.credentials}" not in head:
                self._answer("401 Unauthorized", [*answer, 'WWW-Authenticate: Basic realm="camera"'])
                continue
            body = ""
            if method == "DESCRIBE":
                body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:1\r\n"
                answer += [f"Content-Base: {address}/", "Content-Type: application/sdp"]
            if method == "SETUP":
                answer.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
            self._answer("200 OK", [*answer, f"Content-Length: {len(body)}"], body)
            if method == "PLAY":
                self._play(server.transport_stream)
                return

    def _head(self) -> str:
        return "".join(line.decode() for line in itertools.takewhile(bytes.strip, iter(self.rfile.readline, b"")))

    def _answer(self, status: str, headers: list[str], body: str = "") -> None:
        self.wfile.write(("\r\n".join([f"RTSP/1.0 {status}", *headers]) + "\r\n\r\n" + body).encode())

    def _play(self, transport_stream: bytes) -> None:
        for sequence, start in enumerate(range(0, len(transport_stream), 7 * 188)):
            part = transport_stream[start : start + 7 * 188]
            packet = struct.pack(">BBHII", 0x80, 33, sequence & 0xFFFF, sequence * 3000, 9) + part
            self.wfile.write(b"$\x00" + struct.pack(">H", len(packet)) + packet)


class RtspServer(socketserver.ThreadingTCPServer):
    """Serves an MPEG transport stream over RTSP, interleaved in the TCP connection (RFC 2326 10.12, RFC 2250)."""

    daemon_threads = True

    def __init__(self, transport_stream: bytes, credentials: str | None) -> None:
        super().__init__(("127.0.0.1", 0), RtspRequests)
        self.transport_stream = transport_stream
        self.credentials = credentials
        self.requests: list[str] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@contextmanager
def rtsp_server(transport_stream: bytes, credentials: str | None = None) -> Iterator[RtspServer]:
    """Serve a transport stream to everybody, or to those who send `user:password` in base64."""
    with RtspServer(transport_stream, credentials) as server, _served(server):
        yield server


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
