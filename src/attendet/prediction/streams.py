"""Frames of network streams and cameras, which connect again after a loss."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from attendet.data.download.http import fetch
from attendet.data.images import read_image
from attendet.errors import DataError, Location
from attendet.prediction.addresses import (
    PROTOCOLS,
    has_misplaced_at_sign,
    is_image_address,
    scheme_of,
    without_credentials,
)
from attendet.prediction.sources import MediaKind, MediaSource
from attendet.prediction.video import CONTAINERS, FrameDecoder, VideoTimestamp, next_tick, upright, video_stream
from attendet.utils.text import plural

OnLoss: TypeAlias = Callable[[MediaSource, str], None]
"""Receives a stream whose connection is lost, and the reason, before it is opened again."""

_NETWORK_FORMATS = f"{CONTAINERS},rtsp,sdp,rtp,hls,mpjpeg,live_flv"
_PICTURES = "jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe"
_MAX_IMAGE_BYTES = 2**28
_USUAL_RATE = Fraction(25)
_MAX_RATE = 240


@dataclass(frozen=True)
class ReconnectionPolicy:
    """How often and when a lost stream is opened again.

    Attributes:
        tries: Number of tries before the stream is given up.
        first_wait: Seconds before the first try; doubled before each further one.
        steady: Seconds that a connection lasts before its loss counts as a new one, with all tries again.
        timeout: Seconds without data after which a connection is lost.
    """

    tries: int = 5
    first_wait: float = 1.0
    steady: float = 5.0
    timeout: float = 10.0


class StreamReader:
    """A network stream, or a camera, that is read frame by frame.

    A stream that cannot be opened at first is an error at once. Afterwards, a lost connection is opened again. A video
    of known length then continues where it was cut; a live stream continues with the present.

    Args:
        source: The stream or camera.
        stride: Every how many frames one is yielded.
        policy: When a lost stream is opened again.
        on_loss: Called once per loss.
        stop: Ends the reading when it is set.
        bit_depth: Number of bits of the values in images with 16 bits per channel.

    Attributes:
        is_live: Whether frames arrive at their own pace, so that a slow reader has to leave some out. Known from the
            first frame on.
    """

    def __init__(
        self,
        source: MediaSource,
        stride: int,
        policy: ReconnectionPolicy,
        on_loss: OnLoss,
        stop: threading.Event,
        bit_depth: int = 16,
    ) -> None:
        self._source = source
        self._where = Location(source.label)
        self._stride = stride
        self._policy = policy
        self._on_loss = on_loss
        self._stop = stop
        self._bit_depth = bit_depth
        self._number = 0
        self._tick = -1
        self._start = 0.0
        self._time: float | None = None
        self._shape: tuple[int, ...] | None = None
        self.is_live = True

    def frames(self) -> Iterator[tuple[VideoTimestamp | None, NDArray[np.uint8]]]:
        """Yield the frames of the stream, or a single image without a timestamp.

        Raises:
            DataError: If the stream cannot be opened, or is lost and cannot be opened again.
        """
        if is_image_address(self._source.address):
            yield None, _remote_image(self._source, self._bit_depth)
            return
        failures = 0
        while not self._stop.is_set():
            opened_at, number = time.monotonic(), self._number
            try:
                with self._open() as container:
                    if container.format.name in _PICTURES.split(","):
                        yield None, _remote_image(self._source, self._bit_depth)
                        return
                    yield from self._frames_of_connection(container)
            except (FFmpegError, OSError, ValueError) as error:
                reason = self._reason(error)
            else:
                return
            if self._number == 0:
                raise self._opening_error(reason)
            if self._number > number:
                self._on_loss(self._source, reason)
                failures = 0 if time.monotonic() - opened_at >= self._policy.steady else failures
            failures += 1
            if failures > self._policy.tries:
                tries = plural(self._policy.tries, "try", "tries")
                message = f"lost after {plural(self._number, 'frame')}, and not restored by {tries}: {reason}"
                raise DataError(message, where=self._where, remedy="check the stream and the network")
            self._stop.wait(self._policy.first_wait * 2 ** (failures - 1))

    def _open(self) -> InputContainer:
        timeout = (self._policy.timeout, self._policy.timeout)
        if self._source.kind is MediaKind.CAMERA:
            path = f"/dev/video{self._source.name}"
            return av.open(path, mode="r", format="v4l2", metadata_errors="replace", timeout=timeout)
        scheme = scheme_of(self._source.address)
        options = {"protocol_whitelist": PROTOCOLS[scheme], "format_whitelist": f"{_NETWORK_FORMATS},{_PICTURES}"}
        if scheme.startswith("rtsp"):
            # Over UDP, many networks lose packets or let none through.
            options["rtsp_flags"] = "prefer_tcp"
        address = f"{scheme}{self._source.address[len(scheme) :]}"
        return av.open(address, mode="r", metadata_errors="replace", options=options, timeout=timeout)

    def _opening_error(self, reason: str) -> DataError:
        if self._source.kind is MediaKind.CAMERA:
            message, remedy = "the camera cannot be opened", "check its number, and that no other program uses it"
        else:
            message, remedy = "the stream cannot be opened", "check the address, and that the stream is on"
            if has_misplaced_at_sign(self._source.address):
                remedy = "in a user or password, write / as %2F, ? as %3F, and # as %23"
        return DataError(f"{message}: {reason}", where=self._where, remedy=remedy)

    def _reason(self, error: Exception) -> str:
        """Return the reason of an error without its address, which may contain a password."""
        if isinstance(error, ExitError):
            return f"no data for {self._policy.timeout:g} s"
        return getattr(error, "strerror", None) or type(error).__name__

    def _frames_of_connection(self, container: InputContainer) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
        """Yield the frames of one connection; raise an OSError if it ends before the stream does."""
        stream = video_stream(container, self._where)
        self.is_live = container.duration is None and container.size <= 0
        rate = _rate(stream) / self._stride
        known_until = None if self.is_live else self._time
        if known_until is not None:
            container.seek(round(known_until * av.time_base))
        decoder = FrameDecoder(keeps_damaged=self.is_live)
        for frame in decoder.frames(container, stream):
            if self._stop.is_set():
                return
            if known_until is not None and frame.time is not None and frame.time <= known_until:
                continue
            self._number += 1
            self._time = frame.time
            now = time.monotonic() if self.is_live or frame.time is None else frame.time
            self._start = now if self._number == 1 else self._start
            if (self._number - 1) % self._stride:
                continue
            self._tick = next_tick(self._tick, rate, now - self._start)
            image = upright(frame)
            if self._shape not in (None, image.shape):
                raise DataError(f"the frame size changes at frame {self._number}", where=self._where)
            self._shape = image.shape
            yield VideoTimestamp(self._number, self._tick, rate, stream.frames or None), image
        self._check_end(container, stream, decoder)

    def _check_end(self, container: InputContainer, stream: VideoStream, decoder: FrameDecoder) -> None:
        """Raise an error unless the end of a connection is the end of the stream.

        Raises:
            ConnectionError: If the connection was lost.
            DataError: If the stream is complete, but empty or damaged.
        """
        is_endless = self._source.kind is MediaKind.CAMERA or container.format.name == "mpjpeg"
        is_over_http = scheme_of(self._source.address).startswith("http")
        if self.is_live and (is_endless or not is_over_http):
            raise ConnectionError(0, "the stream ended")
        if not self.is_live and self._number and self._is_cut(container, stream, decoder):
            raise ConnectionError(0, "the connection was cut")
        if self._number == 0:
            raise DataError("the video has no frames", where=self._where)
        if not self.is_live and decoder.is_damaged:
            message = f"the video is damaged; {plural(self._number, 'frame')} were read"
            raise DataError(message, where=self._where)

    def _is_cut(self, container: InputContainer, stream: VideoStream, decoder: FrameDecoder) -> bool:
        """Return whether the last frame is more than a second before the end of a video of known length."""
        if self._time is None:
            return False
        if stream.duration is not None and stream.time_base is not None:
            end = float((stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base)
        elif container.duration is not None and decoder.is_damaged:
            # The sound may be longer than the pictures, so that without damage it proves nothing.
            end = (max(container.start_time, 0) + container.duration) / av.time_base
        else:
            return False
        return self._time < end - 1


def _rate(stream: VideoStream) -> Fraction:
    """Return the frames per second of a stream, or a usual rate if it states none that is possible."""
    rates = [stream.average_rate, stream.guessed_rate]
    possible = [Fraction(rate) for rate in rates if rate and 0 < rate <= _MAX_RATE]
    return possible[0] if possible else _USUAL_RATE


def _remote_image(source: MediaSource, bit_depth: int) -> NDArray[np.uint8]:
    """Download an image and return its pixels (H, W, 3): red, green, blue in 0-255."""
    address, credentials = without_credentials(source.address)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "image")
            fetch(address, path, max_bytes=_MAX_IMAGE_BYTES, attempts=2, credentials=credentials)
            return read_image(path, bit_depth)
    except DataError as error:
        message, remedy = error.message, error.remedy
    # Without the original error, whose place is the address with its password.
    raise DataError(message, where=Location(source.label), remedy=remedy)
