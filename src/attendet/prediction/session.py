"""Detection in a stream of frames, with results that are written frame by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from supervision import Detections

from attendet.errors import OptionError
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.predictor import Predictor
from attendet.prediction.writers import ResultWriter, detected_objects
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.text import plural


@dataclass
class PredictionCounts:
    """The numbers of inputs and detections of a run.

    Attributes:
        images: Number of image files.
        videos: Number of videos, streams, and cameras.
        frames: Number of their frames.
        unfinished: Number of JPEG files without an end marker, which have all their pixels.
        detections: Number of detections by class name.

    Example:
        >>> PredictionCounts(images=2, detections=Counter({"cell": 7})).to_dict()
        {'images': 2, 'videos': 0, 'frames': 0, 'unfinished': 0, 'detections': {'cell': 7}}
    """

    images: int = 0
    videos: int = 0
    frames: int = 0
    unfinished: int = 0
    detections: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Number of images and frames together."""
        return self.images + self.frames

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values, ready for JSON."""
        return {
            "images": self.images,
            "videos": self.videos,
            "frames": self.frames,
            "unfinished": self.unfinished,
            "detections": dict(self.detections),
        }

    def _repr_html_(self) -> Markup:
        """Return the detections of each class as a table, the most frequent class first, for notebooks."""
        inputs = ", ".join(
            [plural(self.images, "image"), plural(self.videos, "video"), plural(self.frames, "video frame")]
        )
        rows = [(name, f"{count:,}") for name, count in self.detections.most_common()]
        return Markup(
            html_paragraphs([inputs])
            + html_table(("class", "detections"), rows, text_columns=1, label="detections by class")
        )


class FrameDetections(NamedTuple):
    """A frame and its detections.

    Attributes:
        frame: An image, or a frame of a video or stream.
        detections: Its detections, the most confident first.
    """

    frame: InputFrame
    detections: Detections


def predict_frames(
    predictor: Predictor,
    frames: Iterator[InputFrame],
    writers: Sequence[ResultWriter],
    counts: PredictionCounts,
    *,
    batch_size: int = 1,
    progress: Callable[[InputFrame], None] | None = None,
) -> None:
    """Detect objects in frames and write the results; at most `batch_size` frames are in memory at a time.

    Args:
        predictor: The network; its timings get the stages `read` and `write`.
        frames: The images and video frames.
        writers: Receive every frame, in order; they are not closed.
        counts: Counts inputs and detections; after an interruption, the counts up to then are valid.
        batch_size: Number of frames that go through the network together.
        progress: Called after each frame.

    Raises:
        OptionError: If the batch size is below 1.
        OutputError: If a file cannot be written.
    """
    videos: set[str] = set()
    for frame, detections in detect_in_frames(predictor, frames, batch_size):
        with predictor.timings.stage("write"):
            for writer in writers:
                writer.write(frame, detections)
        if frame.timestamp is None:
            counts.images += 1
            counts.unfinished += frame.unfinished
        else:
            counts.frames += 1
            counts.videos += frame.stem not in videos
            videos.add(frame.stem)
        counts.detections.update(each.name for each in detected_objects(detections))
        if progress is not None:
            progress(frame)


def detect_in_frames(
    predictor: Predictor, frames: Iterator[InputFrame], batch_size: int = 1
) -> Iterator[FrameDetections]:
    """Yield frames with their detections; at most `batch_size` frames are in memory at a time.

    Args:
        predictor: The network; its timings get the stage `read`.
        frames: The images and video frames.
        batch_size: Number of frames that go through the network together.

    Raises:
        OptionError: If the batch size is below 1.
    """
    if batch_size < 1:
        raise OptionError(f"`batch_size` must be a positive integer, got {batch_size}")
    while True:
        with predictor.timings.stage("read"):
            batch = list(islice(frames, batch_size))
        if not batch:
            return
        results = predictor.batch([frame.image for frame in batch])
        yield from map(FrameDetections, batch, results)
