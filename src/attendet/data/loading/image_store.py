"""Decoded images at the training size: decoded once and kept in memory or on disk, or decoded on demand."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attendet.data.images import read_image
from attendet.data.loading.resizing import ImageSize, resize, scaled_shapes
from attendet.data.records import ImageRecords
from attendet.errors import DataError, Location

ImageCache: TypeAlias = Literal["auto", "ram", "disk", "none"]
"""Where decoded images are kept; `auto` keeps them in memory if they are a small part of it."""

MAX_MEMORY_FRACTION = 0.4
"""Largest fraction (0-1) of the available memory that `auto` fills, for the images of all splits and processes."""

_MAX_THREADS = 8


class DecodedImages(Protocol):
    """A sequence of decoded images whose longer sides are scaled to the training size."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the image (H, W, 3) with this index."""
        ...


class OnDemandImages:
    """Images that are decoded each time they are accessed.

    Args:
        records: The images.
        imgsz: Longer side of a decoded image in pixels, or height and width that it must not exceed.

    Raises:
        DataError: On access, if an image cannot be decoded, or its size has changed since the data set was read.
    """

    def __init__(self, records: ImageRecords, imgsz: ImageSize) -> None:
        self._records, self._imgsz = records, imgsz

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        record = self._records[index]
        image = read_image(record.image, record.bit_depth)
        height, width = image.shape[:2]
        if (width, height) != (record.width, record.height):
            stated = f"{record.width}x{record.height}"
            raise DataError(
                f"the image has {width}x{height} pixels, but had {stated} when the data set was read",
                where=Location(str(record.image)),
                remedy="do not change images during a run, and start again",
            )
        return resize(image, self._imgsz)


class CachedImages:
    """Images decoded once into a block of memory or a temporary file, which forked worker processes share.

    Args:
        records: The images.
        imgsz: Longer side of a decoded image in pixels.
        folder: Folder for the temporary file; None keeps the images in memory. The file has no name, so that the
            operating system deletes it when the last process that uses it ends, even if it crashes.
        progress: Called with the number of images decoded and the number of all images.

    Raises:
        DataError: If an image cannot be decoded, or its size has changed since the data set was read.
    """

    def __init__(
        self,
        records: ImageRecords,
        imgsz: int,
        folder: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._shapes = scaled_shapes(records.sizes, imgsz)
        self._starts = np.concatenate([[0], np.cumsum(self._shapes.prod(1) * 3)])
        total = max(1, int(self._starts[-1]))
        if folder is None:
            block = mmap.mmap(-1, total)
        else:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, total)
                block = mmap.mmap(file.fileno(), total)
        self._block = np.frombuffer(block, np.uint8)
        self._decode(records, OnDemandImages(records, imgsz), progress)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        height, width = self._shapes[index].tolist()
        return self._block[self._starts[index] : self._starts[index + 1]].reshape(height, width, 3)

    def _decode(
        self, records: ImageRecords, images: OnDemandImages, progress: Callable[[int, int], None] | None
    ) -> None:
        indices = range(len(records))
        with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
            decoded = zip(indices, pool.map(images.__getitem__, indices), strict=True)
            for done, (index, image) in enumerate(decoded, start=1):
                self[index][:] = image
                if progress:
                    progress(done, len(records))


def load_images(
    records: ImageRecords,
    imgsz: int,
    cache: ImageCache,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    shared_by: int = 1,
) -> DecodedImages:
    """Decode the images of records, or prepare to decode them on demand.

    Args:
        records: The images.
        imgsz: Longer side of a decoded image in pixels.
        cache: `ram` or `disk` keep decoded images, `none` decodes them on demand, and `auto` chooses `ram` if they need
            less than `MAX_MEMORY_FRACTION` of the available memory, otherwise `none`.
        folder: Folder for the file of `disk`; None for the folder of temporary files.
        progress: Called with the number of images decoded and the number of all images.
        shared_by: Number of image sets of this size that share the available memory.

    Raises:
        DataError: If an image cannot be decoded, or its size has changed since the data set was read.
    """
    if cache == "auto":
        needed = int(scaled_shapes(records.sizes, imgsz).prod(1).sum()) * 3
        cache = "ram" if needed < MAX_MEMORY_FRACTION * available_memory() / shared_by else "none"
    if cache == "none":
        return OnDemandImages(records, imgsz)
    return CachedImages(records, imgsz, (folder or Path(tempfile.gettempdir())) if cache == "disk" else None, progress)


def available_memory() -> int:
    """Return the available memory in bytes, as the kernel estimates it, within the limit of a container."""
    available = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        if line.startswith("MemAvailable:")
    )
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and (maximum := limit.read_text(encoding="ascii").strip()).isdigit():
        available = min(available, int(maximum) - int(used.read_text(encoding="ascii")))
    return available
