"""Images decoded once, at the training size."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from attendet.data.images import read_image
from attendet.data.loading.resizing import resize, scaled_shapes
from attendet.data.records import ImageRecords
from attendet.errors import DataError, Location

Cache = Literal["auto", "ram", "disk", "none"]
Progress = Callable[[int, int], None]

# Of the memory that is free, what the images of all splits and processes may take without being asked to.
MAX_MEMORY_FRACTION = 0.4


class Images(Protocol):
    """Images by number, their longer sides scaled to the training size."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the image (H, W, 3)."""
        ...


class OnDemandImages:
    """Images decoded whenever they are asked for."""

    def __init__(self, records: ImageRecords, size: int) -> None:
        self._records, self._size = records, size

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        record = self._records[index]
        image = read_image(record.image)
        height, width = image.shape[:2]
        if (width, height) != (record.width, record.height):
            raise DataError(
                f"it has {width}x{height} pixels, and had {record.width}x{record.height} when the data set was read",
                where=Location(str(record.image)),
                remedy="start again when nobody changes the images",
            )
        return resize(image, self._size)


class CachedImages:
    """All images in one block of memory or one temporary file, shared by worker processes that are forked.

    Args:
        records: Whose images.
        size: Their longer side in pixels.
        folder: Where the temporary file is made; None keeps the images in memory. The file has no name, so that it
            goes when its last user does, however that ends.
        progress: Called with (done, total).
    """

    def __init__(
        self, records: ImageRecords, size: int, folder: Path | None = None, progress: Progress | None = None
    ) -> None:
        shapes = scaled_shapes(records.sizes, size)
        self._shapes = shapes
        self._starts = np.concatenate([[0], np.cumsum(shapes.prod(1) * 3)])
        total = max(1, int(self._starts[-1]))
        if folder is None:
            block = mmap.mmap(-1, total)
        else:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, total)
                block = mmap.mmap(file.fileno(), total)
        self._block = np.frombuffer(block, np.uint8)
        source = OnDemandImages(records, size)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for done, (index, image) in enumerate(
                zip(range(len(records)), pool.map(source.__getitem__, range(len(records))), strict=True), 1
            ):
                self[index][:] = image
                if progress:
                    progress(done, len(records))

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        height, width = self._shapes[index].tolist()
        return self._block[self._starts[index] : self._starts[index + 1]].reshape(height, width, 3)


def load_images(
    records: ImageRecords,
    size: int,
    cache: Cache,
    folder: Path | None = None,
    progress: Progress | None = None,
    sharers: int = 1,
) -> Images:
    """Return the decoded images of records: kept in memory or on disk, or decoded on demand.

    Args:
        records: Whose images.
        size: Their longer side in pixels.
        cache: `ram`, `disk`, `none`; or `auto` for `ram` where they are a small part of the free memory.
        folder: Where `disk` keeps its file.
        progress: Called with (done, total) while images are decoded.
        sharers: How many such sets share the memory.

    Raises:
        DataError: If an image no longer decodes.
    """
    if cache == "auto":
        needed = int(scaled_shapes(records.sizes, size).prod(1).sum()) * 3
        cache = "ram" if needed < MAX_MEMORY_FRACTION * available_memory() / sharers else "none"
    if cache == "none":
        return OnDemandImages(records, size)
    return CachedImages(records, size, (folder or Path(tempfile.gettempdir())) if cache == "disk" else None, progress)


def available_memory() -> int:
    """Return the bytes of memory that are free: as the kernel estimates them, within the limit of a container."""
    free = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        if line.startswith("MemAvailable:")
    )
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and (most := limit.read_text(encoding="ascii").strip()).isdigit():
        free = min(free, int(most) - int(used.read_text(encoding="ascii")))
    return free
