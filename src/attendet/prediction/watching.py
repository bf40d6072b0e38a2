"""Several streams and cameras that are read at the same time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attendet.errors import AttendetError
from attendet.prediction.sources import MediaSource, OnSkip
from attendet.prediction.streams import OnLoss, ReconnectionPolicy, StreamReader
from attendet.prediction.video import VideoTimestamp

_SECONDS_TO_END = 2.0


class WatchedFrame(NamedTuple):
    """A frame of one of several streams.

    Attributes:
        source: The stream or camera.
        timestamp: Position of the frame; None for a single image.
        image: (H, W, 3) red, green, blue in 0-255.
    """

    source: MediaSource
    timestamp: VideoTimestamp | None
    image: NDArray[np.uint8]


def watch_streams(
    sources: Sequence[MediaSource],
    on_skip: OnSkip,
    on_loss: OnLoss,
    stride: int = 1,
    policy: ReconnectionPolicy | None = None,
    bit_depth: int = 16,
) -> Iterator[WatchedFrame]:
    """Yield the frames of streams and cameras as they arrive, in turn, until all have ended.

    Each stream is read by a thread that holds one frame. A live stream replaces a frame that was not taken yet, so that
    a slow reader gets the present and memory stays bounded; a video of known length waits, so that every frame is
    used. A stream that stops does not delay the others.

    Args:
        sources: Streams and cameras; each is read once, even if it is listed twice.
        on_skip: Called with the error of each stream that cannot be opened, or is lost for good.
        on_loss: Called once per lost connection, before it is opened again.
        stride: Every how many frames of a stream one is used.
        policy: When a lost stream is opened again.
        bit_depth: Number of bits of the values in images with 16 bits per channel; see `attendet.data.read_image`.
    """
    board = _Board(tuple(dict.fromkeys(sources)))
    options = (stride, policy or ReconnectionPolicy(), bit_depth)
    threads = [threading.Thread(target=board.read, args=(slot, *options), daemon=True) for slot in board.slots]
    for thread in threads:
        thread.start()
    try:
        while (event := board.next_event()) is not None:
            if isinstance(event, WatchedFrame):
                yield event
            elif isinstance(event, AttendetError):
                on_skip(event)
            elif isinstance(event, BaseException):
                raise event
            else:
                on_loss(*event)
    finally:
        board.end(threads)


@dataclass
class _Slot:
    """The place for one frame of a stream.

    Attributes:
        source: The stream or camera.
        frame: Its newest frame, until it is taken.
        is_open: Whether more frames may come.
    """

    source: MediaSource
    frame: WatchedFrame | None = None
    is_open: bool = True


class _Board:
    """The slots and messages of all streams, shared by their threads and the reader."""

    def __init__(self, sources: Sequence[MediaSource]) -> None:
        self.slots = [_Slot(source) for source in sources]
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._messages: deque[tuple[MediaSource, str] | BaseException] = deque()
        self._turn = 0

    def read(self, slot: _Slot, stride: int, policy: ReconnectionPolicy, bit_depth: int) -> None:
        """Read one stream until it ends; run in a thread of its own."""
        reader = StreamReader(slot.source, stride, policy, lambda *loss: self._add(loss), self._stop, bit_depth)
        try:
            for timestamp, image in reader.frames():
                self._put(slot, WatchedFrame(slot.source, timestamp, image), replace=reader.is_live)
        except BaseException as error:  # noqa: BLE001 - the reading thread raises other errors
            self._add(error)
        with self._changed:
            slot.is_open = False
            self._changed.notify_all()

    def next_event(self) -> WatchedFrame | tuple[MediaSource, str] | BaseException | None:
        """Wait for the next message or frame, and take it; return None when all streams have ended."""
        with self._changed:
            while True:
                if self._messages:
                    return self._messages.popleft()
                slot = self._next_full_slot()
                if slot is not None:
                    frame, slot.frame = slot.frame, None
                    self._changed.notify_all()
                    return frame
                if not any(each.is_open for each in self.slots):
                    return None
                self._changed.wait()

    def end(self, threads: Sequence[threading.Thread]) -> None:
        """Stop all threads; one that waits for the network ends after this call."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        deadline = time.monotonic() + _SECONDS_TO_END
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _put(self, slot: _Slot, frame: WatchedFrame, *, replace: bool) -> None:
        with self._changed:
            if not replace:
                self._changed.wait_for(lambda: slot.frame is None or self._stop.is_set())
            slot.frame = frame
            self._changed.notify_all()

    def _add(self, message: tuple[MediaSource, str] | BaseException) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def _next_full_slot(self) -> _Slot | None:
        """Return the next slot in turn that has a frame, so that every stream gets its turn."""
        count = len(self.slots)
        for step in range(count):
            slot = self.slots[(self._turn + step) % count]
            if slot.frame is not None:
                self._turn = (self._turn + step + 1) % count
                return slot
        return None
