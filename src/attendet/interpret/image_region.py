"""The position of an image and its objects on the canvas of a network, and so in every feature map."""

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
    """The position of one image of a batch, and of its objects, on the canvas.

    Attributes:
        inside: Left, top, right, bottom of the image on the canvas in pixels; the rest of the canvas is padding.
        objects: (height, width) bool, True for pixels of the canvas that are in a box.
    """

    inside: tuple[float, float, float, float]
    objects: Tensor

    @classmethod
    def from_boxes(
        cls, height: int, width: int, boxes: Tensor, inside: tuple[float, float, float, float] | None = None
    ) -> ImageRegion:
        """Return the region of an image with these boxes.

        Args:
            height: Height of the canvas in pixels.
            width: Width of the canvas in pixels.
            boxes: (k, 4) x1, y1, x2, y2 in pixels of the canvas. They are rounded to pixels, at least one per side.
            inside: Left, top, right, bottom of the image in pixels (default: the whole canvas).

        Example:
            >>> region = ImageRegion.from_boxes(32, 64, torch.tensor([[0.0, 0.0, 16.0, 8.0]]))
            >>> region.inside, int(region.objects.sum())
            ((0.0, 0.0, 64.0, 32.0), 128)
        """
        objects = torch.zeros(height, width, dtype=torch.bool)
        for x1, y1, x2, y2 in boxes.round().int().tolist():
            left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
            objects[top : max(y2, top + 1), left : max(x2, left + 1)] = True
        return cls(inside or (0.0, 0.0, float(width), float(height)), objects)

    def crop(self, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of a feature map (height, width) that show the image, at least one each.

        A cell belongs to the image if its center does.

        Example:
            >>> ImageRegion((0, 12, 64, 52), torch.zeros(64, 64)).crop(8, 8)
            (slice(1, 6, None), slice(0, 8, None))
        """
        left, top, right, bottom = self.inside
        canvas_height, canvas_width = self.objects.shape
        rows = _cells(top * height / canvas_height, bottom * height / canvas_height, height)
        return rows, _cells(left * width / canvas_width, right * width / canvas_width, width)

    def coverage(self, height: int, width: int) -> Tensor:
        """Return (height, width): the fraction of each cell of a feature map that is in boxes, 0-1.

        Example:
            >>> region = ImageRegion.from_boxes(32, 32, torch.tensor([[0.0, 0.0, 24.0, 16.0]]))
            >>> region.coverage(2, 2).tolist()
            [[1.0, 0.5], [0.0, 0.0]]
        """
        return functional.adaptive_avg_pool2d(self.objects[None].float(), (height, width))[0]


def regions_of(batch: ValidationBatch) -> list[ImageRegion]:
    """Return the region of each image of a batch; crowds count as objects."""
    height, width = batch.batch.images.shape[2:]
    regions = []
    for record, letterbox in zip(batch.records, batch.letterboxes, strict=True):
        left, top, right, bottom = letterbox.to_canvas(np.array([[0.0, 0, record.width, record.height]]))[0].tolist()
        boxes = torch.from_numpy(letterbox.to_canvas(record.boxes))
        regions.append(ImageRegion.from_boxes(height, width, boxes, (left, top, right, bottom)))
    return regions


def _cells(start: float, stop: float, count: int) -> slice:
    # The center of cell n is n + 1/2. A center on the border belongs to the side with the larger coordinates.
    first = min(max(math.ceil(start - 0.5), 0), count - 1)
    return slice(first, max(min(math.ceil(stop - 0.5), count), first + 1))
