"""Images of the training split from which the ranges of 8-bit values are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from attendet.data.loading.datasets import ValidationDataset
from attendet.data.loading.image_store import OnDemandImages
from attendet.data.loading.resizing import ImageSize
from attendet.data.records import Split
from attendet.errors import DataError, OptionError
from attendet.utils.sampling import evenly_spaced

CALIBRATION_IMAGES = 128
"""Default number of images; with 16 or more, the mAP of a quantized file hardly changes with their number."""

MAX_LOSS = 0.02
"""Largest loss of mAP50-95 (0-1) that a quantized file may have."""


class CalibrationImages(Sequence[NDArray[np.float32]]):
    """Images of a split, letterboxed as for inference; each is decoded when it is accessed, and not kept.

    They are evenly spaced over the split, because images of one class or one film often follow each other.

    Args:
        split: The images, of the training split, so that the validation images stay unseen.
        imgsz: Longer side of a scaled image in pixels; for a file that takes one shape only, height and width of all
            canvases.
        stride: Largest stride of the network in pixels.
        count: Largest number of images.

    Raises:
        OptionError: If the count is below 1.
        DataError: If the split has no images. On access, if an image cannot be decoded.
    """

    def __init__(self, split: Split, imgsz: ImageSize, stride: int, count: int = CALIBRATION_IMAGES) -> None:
        if count < 1:
            raise OptionError(f"`count` must be a positive integer, got {count!r}")
        if not len(split.records):
            raise DataError(f"the split {split.name!r} must have images to calibrate with, got 0")
        self._chosen = evenly_spaced(len(split.records), count)
        self._dataset = ValidationDataset(split.records, OnDemandImages(split.records, imgsz), imgsz, stride)

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.float32]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Return an image (1, 3, H, W) in 0-1, or the images of a slice."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        pixels = self._dataset[[self._chosen[index]]].batch.images
        return pixels.numpy().astype(np.float32) / np.float32(255)
