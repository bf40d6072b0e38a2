"""Sides of boxes after their images are scaled to the training size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attendet.data.records import ImageRecords


def scaled_box_sides(records: ImageRecords, imgsz: int) -> NDArray[np.float64]:
    """Return the sides of all boxes after images are scaled to the training size.

    Boxes are clipped to their images, as in training.

    Args:
        records: Images and objects.
        imgsz: The longer side of a scaled image in pixels.

    Returns:
        (objects, 2) width and height in pixels of the scaled image.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord
        >>> box, crowd = np.array([[-8.0, 0, 8, 4]]), np.array([False])
        >>> records = ImageRecords([ImageRecord(Path("a.jpg"), 640, 480, box, np.array([0]), crowd)])
        >>> scaled_box_sides(records, 320).tolist()
        [[4.0, 2.0]]
    """
    sizes = records.sizes[records.image_indices()]
    clipped = np.clip(records.boxes, 0, np.tile(sizes, 2))
    sides = np.maximum(clipped[:, 2:] - clipped[:, :2], 0)
    return sides * (imgsz / sizes.max(axis=1, keepdims=True, initial=1))
