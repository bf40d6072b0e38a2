"""A share of the training images: the same for everything that is compared, and the smaller within the larger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attendet.data.records import ImageRecords, Split

# Other random numbers than those of the order of the images, which have the same seed.
STREAM = 0x66726163


def share_of(split: Split, fraction: float, seed: int) -> Split:
    """Return a split with a share of its images, in their order.

    The images are those that come first in a permutation which depends on their number and the seed alone, so the
    images of a smaller share are among those of a larger one.

    Args:
        split: All images.
        fraction: The share, in 0-1 without 0; at least one image is taken.
        seed: Of the permutation.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord
        >>> split = Split("train", ("pear",), ImageRecords([ImageRecord(Path(f"{n}.jpg"), 9, 9) for n in range(8)]))
        >>> half, quarter = share_of(split, 0.5, seed=0), share_of(split, 0.25, seed=0)
        >>> len(half.records), {image.image for image in quarter.records} < {image.image for image in half.records}
        (4, True)
    """
    images = len(split.records)
    count = max(1, round(fraction * images))
    if count == images:
        return split
    kept = sorted(np.random.default_rng([STREAM, seed]).permutation(images)[:count].tolist())
    digests = tuple(split.digests[number] for number in kept) if split.digests else ()
    return replace(split, records=ImageRecords(split.records[number] for number in kept), digests=digests)
