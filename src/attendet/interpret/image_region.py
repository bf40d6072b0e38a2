"""Where an image and its objects lie in what a network was given, and so in every map that it computes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attendet.data.loading.datasets import ValidationBatch


@dataclass(frozen=True)
class ImageRegion:
    """One image of a batch.

    Attributes:
        inside: left, top, right, bottom of the image on the canvas that the network was given, in pixels; around it
            is padding.
        objects: (height, width) of the canvas, bool: the pixels inside of a box.
    """

    inside: tuple[float, float, float, float]
    objects: Tensor

    @classmethod
    def of(
        cls, height: int, width: int, boxes: Tensor, inside: tuple[float, float, float, float] | None = None
    ) -> ImageRegion:
        """Return the frame of a canvas.

        Args:
            height: Of the canvas, in pixels.
            width: Likewise.
            boxes: (k, 4) x1, y1, x2, y2 in pixels of the canvas, rounded to whole ones, at least one a side.
            inside: As above; the whole canvas if None.

        Example:
            >>> frame = ImageRegion.of(32, 64, torch.tensor([[0.0, 0.0, 16.0, 8.0]]))
            >>> frame.inside, int(frame.objects.sum())
            ((0.0, 0.0, 64.0, 32.0), 128)
        """
        objects = torch.zeros(height, width, dtype=torch.bool)
        for x1, y1, x2, y2 in boxes.round().int().tolist():
            left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
            objects[top : max(y2, top + 1), left : max(x2, left + 1)] = True
        return cls(inside or (0.0, 0.0, float(width), float(height)), objects)

    def crop(self, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of a map (height, width) of the canvas that show the image, at least one each.

        A cell belongs to the image if its center does.

        Example:
            >>> ImageRegion((0, 12, 64, 52), torch.zeros(64, 64)).crop(8, 8)
            (slice(1, 6, None), slice(0, 8, None))
        """
        left, top, right, bottom = self.inside
        tall, wide = self.objects.shape
        return _cells(top * height / tall, bottom * height / tall, height), _cells(
            left * width / wide, right * width / wide, width
        )

    def coverage(self, height: int, width: int) -> Tensor:
        """Return (height, width), in 0-1: which share of each cell of a map of the canvas lies in boxes.

        Example:
            >>> ImageRegion.of(32, 32, torch.tensor([[0.0, 0.0, 24.0, 16.0]])).coverage(2, 2).tolist()
            [[1.0, 0.5], [0.0, 0.0]]
        """
        return functional.adaptive_avg_pool2d(self.objects[None].float(), (height, width))[0]


def _cells(start: float, stop: float, count: int) -> slice:
    # The center of cell n is n + 1/2; one that lies on the border belongs to what comes after it.
    first = min(max(math.ceil(start - 0.5), 0), count - 1)
    return slice(first, max(min(math.ceil(stop - 0.5), count), first + 1))


def regions_of(placed: ValidationBatch) -> list[ImageRegion]:
    """Return the frame of each image of a batch; groups of objects are objects."""
    height, width = placed.batch.images.shape[2:]
    frames = []
    for record, letterbox in zip(placed.records, placed.letterboxes, strict=True):
        left, top, right, bottom = letterbox.to_canvas(np.array([[0.0, 0, record.width, record.height]]))[0].tolist()
        boxes = torch.from_numpy(letterbox.to_canvas(record.boxes))
        frames.append(ImageRegion.of(height, width, boxes, (left, top, right, bottom)))
    return frames
