"""Frames through a predictor and into writers, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from attendet.errors import OptionError
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.predictor import Predictor
from attendet.prediction.writers import Writer, each


@dataclass
class PredictionTally:
    """What went through.

    Attributes:
        images: Number of image files.
        videos: Number of videos and cameras.
        frames: Number of frames of these.
        detections: How many, by class name.
    """

    images: int = 0
    videos: int = 0
    frames: int = 0
    detections: Counter[str] = field(default_factory=Counter)

    @property
    def pictures(self) -> int:
        """Number of images and frames."""
        return self.images + self.frames


def predict_frames(
    predictor: Predictor,
    frames: Iterator[InputFrame],
    writers: Sequence[Writer],
    tally: PredictionTally,
    *,
    batch_size: int = 1,
    progress: Callable[[InputFrame], None] | None = None,
) -> None:
    """Predict on frames and write what was seen; at no time are more than `batch_size` frames in memory.

    Args:
        predictor: What sees; its timings gain the stages `read` and `write`.
        frames: What to look at.
        writers: Told of every frame, in order; left open.
        tally: Where everything is counted, so that after an interruption it is known what was done.
        batch_size: How many frames go through the network together.
        progress: Called after every frame.

    Raises:
        OptionError: If the batch size is below 1.
        OutputError: If something cannot be written.
    """
    if batch_size < 1:
        raise OptionError(f"the batch size is {batch_size}", remedy="give at least 1")
    video = None
    while True:
        with predictor.timings.stage("read"):
            batch = list(islice(frames, batch_size))
        if not batch:
            return
        found = predictor.batch([frame.image for frame in batch])
        for frame, detections in zip(batch, found, strict=True):
            with predictor.timings.stage("write"):
                for writer in writers:
                    writer.write(frame, detections)
            if frame.moment is None:
                tally.images += 1
            else:
                tally.frames += 1
                tally.videos += frame.source is not video
                video = frame.source
            tally.detections.update(seen.name for seen in each(detections))
            if progress is not None:
                progress(frame)
