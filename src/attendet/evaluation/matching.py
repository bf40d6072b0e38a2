"""Matches between the detections of an image and its ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from faster_coco_eval import mask
from numpy.typing import NDArray
from torch import Tensor

UNMATCHED = -1
"""Object index of a detection that matches no object."""


@dataclass(frozen=True)
class GroundTruth:
    """The objects of one image.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels, in the same coordinates as the detections. COCO's sizes small, medium,
            and large count pixels of the original image.
        classes: (n,) class indices, integers from 0.
        crowd: (n,) bool: True for a box around a group of objects, which counts neither as found nor as missed.

    Example:
        >>> GroundTruth(torch.tensor([[10.0, 10.0, 50.0, 50.0]]), torch.tensor([0]), torch.tensor([False])).classes
        tensor([0])
    """

    boxes: Tensor
    classes: Tensor
    crowd: Tensor


@dataclass(frozen=True)
class ImageResult:
    """The detections and the ground truth of one image, as arrays.

    Attributes:
        boxes: (k, 4) float64, detected boxes: x1, y1, x2, y2 in pixels.
        confidences: (k,) float64, scores of the detections, 0-1, in descending order.
        classes: (k,) int64, classes of the detections.
        true_boxes: (n, 4) float64, boxes of the objects.
        true_classes: (n,) int64, classes of the objects.
        crowd: (n,) bool: True for a box around a group of objects. It may be missed, and any number of detections may
            be in it.
    """

    boxes: NDArray[np.float64]
    confidences: NDArray[np.float64]
    classes: NDArray[np.int64]
    true_boxes: NDArray[np.float64]
    true_classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]

    @classmethod
    def from_tensors(cls, detections: Tensor, truth: GroundTruth) -> ImageResult:
        """Convert tensors on any device and of any floating type.

        Args:
            detections: (k, 6) x1, y1, x2, y2 in pixels, confidence, class, in any order.
            truth: The objects of the image.

        Example:
            >>> truth = GroundTruth(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0))
            >>> ImageResult.from_tensors(torch.tensor([[0.0, 0, 8, 8, 0.5, 2], [4, 0, 8, 8, 0.75, 1]]), truth).classes
            array([1, 2])
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
        """Return (k, n): the IoU of each detection and object.

        With a crowd the overlap is the fraction of the detection that is inside of it.
        """
        if not len(self.boxes) or not len(self.true_boxes):
            return np.zeros((len(self.boxes), len(self.true_boxes)))
        return np.asarray(mask.iou(to_xywh(self.boxes), to_xywh(self.true_boxes), self.crowd.tolist()))


def to_xywh(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert boxes (n, 4) from x1, y1, x2, y2 to x1, y1, width, height.

    Example:
        >>> to_xywh(np.array([[2.0, 3.0, 7.0, 9.0]])).tolist()
        [[2.0, 3.0, 5.0, 6.0]]
    """
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def match_detections(result: ImageResult, iou: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Match detections to objects of their class by COCO's protocol.

    Detections choose in descending order of confidence. Each takes the object that it overlaps most among the objects
    that are not taken.

    Args:
        result: Detections and ground truth of an image.
        iou: Smallest overlap of a match, 0-1.

    Returns:
        (k,) the index of the object that each detection matches, or `UNMATCHED`; and (k,) bool, True for an unmatched
        detection inside a crowd of its class, which is neither right nor wrong.
    """
    return _match(result, result.overlaps(), iou)


def match_at_thresholds(result: ImageResult, ious: Sequence[float]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Match detections to objects of their class by COCO's protocol, at several IoU thresholds.

    Args:
        result: Detections and ground truth of an image.
        ious: Smallest overlaps of a match, 0-1.

    Returns:
        (k, thresholds) bool, True for a detection that matches an object; and (k, thresholds) bool, True for an
        unmatched detection inside a crowd of its class, which is neither right nor wrong.

    Example:
        >>> truth = GroundTruth(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]), torch.tensor([False]))
        >>> result = ImageResult.from_tensors(torch.tensor([[0.0, 0, 8, 6, 0.5, 0]]), truth)
        >>> match_at_thresholds(result, (0.5, 0.75, 0.9))[0].tolist()
        [[True, True, False]]
    """
    overlaps = result.overlaps()
    matched = np.zeros((len(result.boxes), len(ious)), np.bool_)
    ignored = np.zeros_like(matched)
    for column, iou in enumerate(ious):
        matches, ignored[:, column] = _match(result, overlaps, iou)
        matched[:, column] = matches != UNMATCHED
    return matched, ignored


def _match(
    result: ImageResult, overlaps: NDArray[np.float64], iou: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    is_near = (overlaps >= iou) & (result.classes[:, None] == result.true_classes)
    detections, objects = np.nonzero(is_near & ~result.crowd)
    order = np.lexsort((-overlaps[detections, objects], detections))
    matches = match_in_order(detections[order], objects[order], len(result.boxes))
    return matches, (matches == UNMATCHED) & (is_near & result.crowd).any(axis=1)


def match_in_order(detections: NDArray[np.int64], objects: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Go through pairs of detections and objects, and match a pair if neither of its two is matched yet.

    Args:
        detections: (pairs,) indices of detections.
        objects: (pairs,) indices of objects.
        count: Number of detections.

    Returns:
        (count,) the index of the object that each detection matches, or `UNMATCHED`.

    Example:
        >>> match_in_order(np.array([0, 0, 1]), np.array([1, 0, 1]), count=3)
        array([ 1, -1, -1])
    """
    matches = np.full(count, UNMATCHED, np.int64)
    free = set(objects.tolist())
    for detection, index in zip(detections.tolist(), objects.tolist(), strict=True):
        if index in free and matches[detection] == UNMATCHED:
            matches[detection] = index
            free.remove(index)
    return matches
