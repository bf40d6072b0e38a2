"""Streams are read from servers on this machine that cut the connection and come back."""

import base64
import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from attendet.prediction.addresses import public_name, stem_of
from attendet.prediction.input_frames import InputFrame, read_frames
from attendet.prediction.sources import MediaSource, expand_sources
from attendet.prediction.streams import ReconnectionPolicy
from tests.helpers.videos import read_with_opencv, write_video
from tests.prediction.stream_servers import HttpRequest, free_port, gray_jpeg, http_server, rtsp_server

QUICK = ReconnectionPolicy(tries=3, first_wait=0.02, steady=5.0, timeout=5.0)


class Watched:
    """The frames of sources, and the messages about them."""

    def __init__(self, *sources: str, policy: ReconnectionPolicy = QUICK) -> None:
        self.errors: list[str] = []
        self.losses: list[str] = []
        expanded = expand_sources(sources, self._skip)
        self.frames = read_frames(expanded, self._skip, on_loss=self._lose, policy=policy)

    def _skip(self, error: Exception) -> None:
        self.errors.append(str(error))

    def _lose(self, source: MediaSource, reason: str) -> None:
        self.losses.append(f"{source.label}: {reason}")

    def __iter__(self) -> Iterator[InputFrame]:
        return self.frames

    def first(self, count: int) -> list[InputFrame]:
        """Return the first frames, and stop watching."""
        frames = list(itertools.islice(self.frames, count))
        self.frames.close()
        return frames


@pytest.mark.parametrize("accepts_ranges", [True, False])
def test_a_video_that_is_interrupted_continues_at_the_same_frame(tmp_path: Path, *, accepts_ranges: bool) -> None:
    path = write_video(tmp_path / "walk.mp4", count=60)
    expected, _ = read_with_opencv(path)
    content = path.read_bytes()
    times = itertools.count()

    def answer(request: HttpRequest) -> None:
        if not accepts_ranges:
            del request.headers["Range"]
        request.send(content, upto=len(content) * 6 // 10 if next(times) == 0 else None)

    with http_server({"/films/walk.mp4": answer}) as server:
        watched = Watched(f"http://{server.place}/films/walk.mp4")
        frames = list(watched)
    assert watched.errors == []
    assert len(watched.losses) == 1, "one message"
    assert [frame.number for frame in frames] == list(range(1, 61))
    assert {frame.stem for frame in frames} == {"walk"}
    ticks = [frame.timestamp.tick for frame in frames if frame.timestamp]
    assert ticks == list(range(60))
    for frame, image in zip(frames, expected, strict=True):
        assert np.abs(frame.image.astype(int) - image).mean() < 3


def test_a_camera_that_is_interrupted_continues_with_the_current_image() -> None:
    parts = iter([range(10, 60, 10), range(60, 110, 10)])

    def answer(request: HttpRequest) -> None:
        numbers = next(parts, None)
        if numbers is None:
            request.send_error(503)
        else:
            request.send_jpegs(numbers, pause=lambda: time.sleep(0.1))

    with http_server({"/cam": answer}) as server:
        watched = Watched(f"http://{server.place}/cam")
        shades = [round(float(frame.image.mean()), -1) for frame in watched]
    assert shades == sorted(shades)
    assert min(shades) <= 50, "frames of the first connection"
    assert max(shades) >= 60, "frames of the second connection"
    name = f"http://{server.place}/cam"
    assert len(watched.losses) == 2
    assert all(loss.startswith(f"{name}: ") for loss in watched.losses)
    (error,) = watched.errors
    assert error.startswith(f"{name}: lost after ")
    assert "not restored by 3 tries: " in error


def test_a_slow_reader_gets_the_newest_frame_of_a_live_stream() -> None:
    sent = []

    def numbers() -> Iterator[int]:
        for number in range(1, 251):
            sent.append(number)
            yield number
            time.sleep(0.004)
        ended.wait(20)

    ended = threading.Event()
    with http_server({"/cam": lambda request: request.send_jpegs(numbers())}) as server:
        watched = Watched(f"http://{server.place}/cam")
        first = next(watched.frames)
        while sent[-1:] != [250]:
            time.sleep(0.01)
        time.sleep(0.3)
        second, third = watched.first(2)
        ended.set()
    assert first.number == 1
    # One frame waits in the slot, and the decoder holds a few more.
    assert second.number is not None
    assert second.number > 200
    assert third.number is not None
    assert third.number > second.number


def test_a_stream_that_hangs_does_not_delay_the_others(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mp4", count=30).read_bytes()
    released = threading.Event()

    def hang(request: HttpRequest) -> None:
        request.send_jpegs(range(3))
        released.wait(30)

    answers = {"/a.mp4": lambda request: request.send(content), "/hangs": hang}
    with http_server(answers) as server:
        (tmp_path / "streams.txt").write_text(
            f"# cameras\nhttp://{server.place}/hangs\nhttp://{server.place}/a.mp4  # the door\n"
            f"http://{server.place}/gone\nhttp://127.0.0.1:{free_port()}/refused\n"
        )
        watched = Watched(str(tmp_path / "streams.txt"))
        frames = [frame for frame in watched.first(31) if frame.stem == "a"]
        released.set()
    assert [frame.number for frame in frames[:30]] == list(range(1, len(frames[:30]) + 1))
    assert len(frames) >= 28
    reasons = {error.partition("; ")[0].rpartition("/")[2] for error in watched.errors}
    assert reasons == {
        "gone: the stream cannot be opened: Server returned 404 Not Found",
        "refused: the stream cannot be opened: Connection refused",
    }


def test_images_by_address_equal_the_images_of_the_file(tmp_path: Path) -> None:
    Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    answers = {
        "/a.png": lambda request: request.send(content, kind="image/png"),
        "/snapshot": lambda request: request.send(gray_jpeg(77), kind="image/jpeg"),
        "/broken.jpg": lambda request: request.send(b"no image", kind="image/jpeg"),
    }
    with http_server(answers) as server:
        names = (f"http://{server.place}/{name}" for name in ("a.png?size=1", "snapshot", "broken.jpg", "none.jpg"))
        watched = Watched(*names)
        frames = {frame.stem: frame for frame in list(watched)}
    assert all(frame.timestamp is None for frame in frames.values())
    (direct,) = read_frames(expand_sources([str(tmp_path / "a.png")], print), print)
    assert (frames["a"].image == direct.image).all()
    (snapshot,) = (frame for name, frame in frames.items() if name != "a")
    assert abs(float(snapshot.image.mean()) - 77) < 2
    assert {error.split(": ")[0].rpartition("/")[2] for error in watched.errors} == {"broken.jpg", "none.jpg"}


def test_an_rtsp_stream_with_a_password_is_read_and_its_password_is_never_printed(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.ts", count=40).read_bytes()
    encoded = base64.b64encode(b"admin:pa@ss").decode()
    with rtsp_server(content, credentials=encoded) as server:
        watched = Watched(f"rtsp://admin:pa%40ss@{server.place}/live/1")
        frames = list(watched)
    # Over RTP, frames after the last whole packet are lost, and a live stream leaves out late ones.
    assert len(frames) >= 1
    assert frames[-1].number is not None
    assert frames[-1].number >= 30
    (error,) = watched.errors
    told = " ".join([*watched.losses, error, repr(frames[0].source), str(frames[0].source), frames[0].stem])
    assert f"rtsp://{server.place}/live/1: lost after " in error
    for secret in ("admin", "pa@ss", "pa%40ss", encoded):
        assert secret not in told
    assert any(encoded in request for request in server.requests), "the camera got the password"


def test_errors_about_an_address_hide_its_password_also_in_a_traceback() -> None:
    port = free_port()
    addresses = [
        f"rtsp://admin:geheim@127.0.0.1:{port}/1?token=geheim",
        f"http://admin:geheim@127.0.0.1:{port}/a.jpg",
        f"http://admin:ge/heim@127.0.0.1:{port}/a.jpg",
        f"rtmp://admin:geheim@127.0.0.1:{port}/live/x",
        "gopher://admin:geheim@example.org/1",
        "http://admin:geheim@[::bad/x",
        "rtsp:/admin:geheim@example.org/1",
        "admin:geheim@example.org/1",
    ]
    errors: list[BaseException] = []
    assert list(read_frames(expand_sources(addresses, errors.append), errors.append, policy=QUICK)) == []
    assert len(errors) == len(addresses)
    for error in errors:
        chain = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
        assert not [each for each in chain if each is not None and ("heim" in str(each) or "admin" in str(each))]


@pytest.mark.parametrize(
    ("address", "name", "stem"),
    [
        ("rtsp://host/1?pin=123&channel=2&Subtype=0", "rtsp://host/1?pin=…&channel=2&Subtype=0", "host_1"),
        ("rtsp://host/1?f00dcafe", "rtsp://host/1?…", "host_1"),
        ("rtsp://host/user=me_password=12_channel=1.sdp", "rtsp://host/user=…", "host_user_"),
        ("http://host/a;key=12.mp4", "http://host/a;key=…", "host_a_key_"),
        ("http://host/a.mp4?x", "http://host/a.mp4?…", "a"),
    ],
)
def test_parameters_are_hidden_unless_they_number_a_channel(address: str, name: str, stem: str) -> None:
    assert (public_name(address), stem_of(address)) == (name, stem)


def test_a_password_that_must_be_escaped_is_explained() -> None:
    errors: list[BaseException] = []
    list(read_frames(expand_sources(["rtsp://me:a#b@127.0.0.1:1/1"], errors.append), errors.append, policy=QUICK))
    assert str(errors[0]).endswith("in a user or password, write / as %2F, ? as %3F, and # as %23")


def test_a_udp_stream_is_read() -> None:
    address = f"udp://127.0.0.1:{free_port()}"
    threading.Thread(target=send_video, args=(address,), daemon=True).start()
    numbers = [frame.number for frame in Watched(address).first(5)]
    assert len(numbers) == 5
    assert numbers == sorted(set(numbers), key=numbers.index)


def send_video(address: str) -> None:
    """Send a moving picture for some seconds."""
    with av.open(address, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "5"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(250):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
            time.sleep(0.02)


def test_a_camera_that_does_not_exist_is_an_error() -> None:
    watched = Watched("99", "/dev/video98")
    assert list(watched) == []
    starts = sorted(error.partition(";")[0] for error in watched.errors)
    assert starts == [f"camera {n}: the camera cannot be opened: No such file or directory" for n in (98, 99)]
