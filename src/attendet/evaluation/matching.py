"""Detections beside the truth, and which of them found which object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from faster_coco_eval import mask
from numpy.typing import NDArray
from torch import Tensor

UNMATCHED = -1


@dataclass(frozen=True)
class GroundTruth:
    """The objects of one image.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels, in the same frame as the detections; COCO's sizes small, medium and
            large are pixels of the original image.
        classes: (n,) integers, from 0.
        crowd: (n,) bool: groups of objects, which count neither as found nor as missed.

    Example:
        >>> GroundTruth(torch.tensor([[10.0, 10.0, 50.0, 50.0]]), torch.tensor([0]), torch.tensor([False])).classes
        tensor([0])
    """

    boxes: Tensor
    classes: Tensor
    crowd: Tensor


@dataclass(frozen=True)
class ImageResult:
    """One image's detections beside its truth.

    Attributes:
        boxes: (k, 4) float64 detected boxes: x1, y1, x2, y2 in pixels.
        confidences: (k,) float64 in 0-1, the highest first.
        classes: (k,) int64.
        true_boxes: (n, 4) float64.
        true_classes: (n,) int64.
        crowd: (n,) bool: a group of objects, which need not be found and may be found any number of times.
    """

    boxes: NDArray[np.float64]
    confidences: NDArray[np.float64]
    classes: NDArray[np.int64]
    true_boxes: NDArray[np.float64]
    true_classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]

    @classmethod
    def of(cls, detections: Tensor, truth: GroundTruth) -> ImageResult:
        """Take tensors of any device and floating type.

        Args:
            detections: (k, 6) x1, y1, x2, y2 in pixels, confidence, class, in any order.
            truth: The objects.
        """
        rows = detections.detach().to("cpu", torch.float64).numpy().reshape(-1, 6)
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        return cls(
            boxes=rows[:, :4],
            confidences=rows[:, 4],
            classes=rows[:, 5].astype(np.int64),
            true_boxes=truth.boxes.detach().to("cpu", torch.float64).numpy().reshape(-1, 4),
            true_classes=truth.classes.to("cpu", torch.int64).numpy(),
            crowd=truth.crowd.to("cpu", torch.bool).numpy(),
        )

    def overlaps(self) -> NDArray[np.float64]:
        """Return (k, n) the IoU of detections and objects; for crowds the share of the detection that lies inside."""
        if not len(self.boxes) or not len(self.true_boxes):
            return np.zeros((len(self.boxes), len(self.true_boxes)))
        return np.asarray(mask.iou(corner_and_size(self.boxes), corner_and_size(self.true_boxes), self.crowd.tolist()))


def corner_and_size(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x1, y1, width, height of x1, y1, x2, y2.

    Example:
        >>> corner_and_size(np.array([[2.0, 3.0, 7.0, 9.0]])).tolist()
        [[2.0, 3.0, 5.0, 6.0]]
    """
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def match(sample: ImageResult, iou: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Match detections to objects of their class as COCO does.

    The most confident detection chooses first, and takes the object that it overlaps most of those that are left.

    Args:
        sample: Detections and truth.
        iou: Least overlap of a match, in 0-1.

    Returns:
        (k,) the object that each detection found, or -1; and (k,) whether it found none, but lies in a crowd of its
        class, so that it is neither right nor wrong.
    """
    overlaps = sample.overlaps()
    near = (overlaps >= iou) & (sample.classes[:, None] == sample.true_classes)
    detections, objects = np.nonzero(near & ~sample.crowd)
    order = np.lexsort((-overlaps[detections, objects], detections))
    found = first_come(detections[order], objects[order], len(sample.boxes))
    return found, (found == UNMATCHED) & (near & sample.crowd).any(axis=1)


def first_come(detections: NDArray[np.int64], objects: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Match pairs one after the other, each where both its sides are still free.

    Args:
        detections: (pairs,) positions of detections.
        objects: (pairs,) positions of objects.
        count: Number of detections.

    Returns:
        (count,) the object of each detection, or -1.

    Example:
        >>> first_come(np.array([0, 0, 1]), np.array([1, 0, 1]), count=3)
        array([ 1, -1, -1])
    """
    found = np.full(count, UNMATCHED, np.int64)
    free = set(objects.tolist())
    for detection, place in zip(detections.tolist(), objects.tolist(), strict=True):
        if place in free and found[detection] == UNMATCHED:
            found[detection] = place
            free.remove(place)
    return found
