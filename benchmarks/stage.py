"""A stage of the pipeline from files to detections, with its contenders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

SIZE, BATCH, CLASSES = 320, 16, 3


@dataclass(frozen=True)
class PipelineStage:
    """A stage of the pipeline.

    Attributes:
        name: Description of the stage.
        images: Number of images that each contender processes.
        contenders: Functions to time by name, attendet first.
    """

    name: str
    images: int
    contenders: Mapping[str, Callable[[], object]]
