"""What is measured from files to detections: pieces of the pipeline, each with its contenders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

SIZE, BATCH, CLASSES = 320, 16, 3


@dataclass(frozen=True)
class Piece:
    """One piece of the pipeline.

    Attributes:
        name: What is done.
        images: To how many images.
        works: Ours first, then what it is compared with.
    """

    name: str
    images: int
    works: Mapping[str, Callable[[], object]]
