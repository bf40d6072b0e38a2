"""Task-aligned assignment of objects to the points that predict them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_EPSILON = 1e-7
_ALIGNMENT_EPSILON = 1e-9
_BIT_RANGE = 2**31
_MAX_PAIRS = 2**21
"""Most pairs of an object and a point that are compared at once, which limits the memory to about 0.5 GB."""


@dataclass(frozen=True)
class PointMatches:
    """Points with an object, ordered by image and point. A point occurs at most once.

    Attributes:
        image: Index of the image in the batch, (M,).
        point: Index of the point, (M,).
        target: Row of the object in the targets, (M,).
        scores: Score that the point should predict for the object's class, 0-1, (M,).
    """

    image: Int[Tensor, " m"]
    point: Int[Tensor, " m"]
    target: Int[Tensor, " m"]
    scores: Float[Tensor, " m"]


@torch.no_grad()
def assign_points(
    logits: Float[Tensor, "n p classes"],
    boxes: Float[Tensor, "n p 4"],
    targets: Float[Tensor, "t 6"],
    points: Float[Tensor, "p 2"],
    size: tuple[int, int],
    *,
    top_k: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
    min_side: float = 16.0,
) -> PointMatches:
    """Assign objects to points by task alignment (arXiv:2108.07755, section 3.2).

    The alignment of an object and a point inside the object's box is scoreᵅ · uᵝ. The score is the point's prediction
    for the object's class, and u is the CIoU of its predicted box and the object's box, at least 0. Each object claims
    the `top_k` points of largest alignment, and points of lower index if alignments are equal. Points with alignment 0
    are never claimed.

    A point that several objects claim goes to the object of largest u among all objects whose box contains it, and to
    the object of the lowest row if these are equal. The target score is the alignment, scaled so that the largest one
    of an object's points is the largest u of its points.

    Args:
        logits: Predicted logits of classes (N, P, num_classes).
        boxes: Predicted boxes (N, P, 4): x1, y1, x2, y2 in pixels.
        targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
        points: x and y of the points in pixels, (P, 2).
        size: Height and width of the images in pixels.
        top_k: Most points that an object claims.
        alpha: Exponent α of the score.
        beta: Exponent β of u.
        min_side: A shorter side of an object counts as this many pixels when points inside are determined.

    Returns:
        The points with an object.

    Example:
        >>> points = torch.tensor([[4.0, 4.0], [12.0, 4.0]])
        >>> boxes = torch.tensor([[[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0]]])
        >>> target = torch.tensor([[0, 0, 0.25, 0.5, 0.5, 1]])
        >>> matches = assign_points(torch.zeros(1, 2, 1), boxes, target, points, (8, 16))
        >>> matches.point.tolist(), matches.scores.tolist()
        ([0], [1.0])
    """
    image, classes = targets[:, :2].long().unbind(1)
    corners = object_corners(targets, size)

    def align(target: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
        overlap = complete_iou(boxes[image[target], point], corners[target]).clamp(min=0)
        scores = logits[image[target], point, classes[target]].sigmoid()
        return overlap, scores**alpha * overlap**beta

    owner = _owners(align, image, len(logits), points, _extended(corners, min_side), top_k)
    image_of_match, point = (owner >= 0).nonzero(as_tuple=True)
    target = owner[image_of_match, point]
    overlap, alignment = align(target, point)
    largest = [_largest_of(values, target, len(targets)) for values in (overlap, alignment)]
    scores = alignment * largest[0][target] / (largest[1][target] + _ALIGNMENT_EPSILON)
    return PointMatches(image_of_match, point, target, scores)


def complete_iou(boxes: Float[Tensor, "*m 4"], others: Float[Tensor, "*m 4"]) -> Float[Tensor, "*m"]:
    """Return the CIoU of pairs of boxes ("Distance-IoU Loss", AAAI 2020, equations 8 to 11).

    It equals 1 − `torchvision.ops.complete_box_iou_loss`, but it is also precise near 0 and finite for empty boxes. The
    weight α of the aspect ratio has no gradient.

    Args:
        boxes: x1, y1, x2, y2, (..., 4).
        others: x1, y1, x2, y2, (..., 4).

    Example:
        >>> complete_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
        tensor([0.4655])
    """
    start, end, other_start, other_end = boxes[..., :2], boxes[..., 2:], others[..., :2], others[..., 2:]
    sides, other_sides = end - start, other_end - other_start
    intersection = _area((torch.minimum(end, other_end) - torch.maximum(start, other_start)).clamp(min=0))
    union = _area(sides) + _area(other_sides) - intersection + _EPSILON
    iou = intersection / union
    diagonal = (torch.maximum(end, other_end) - torch.minimum(start, other_start)).square().sum(-1) + _EPSILON
    distance = ((start + end - other_start - other_end) / 2).square().sum(-1)
    aspect = 4 / math.pi**2 * (_angle(other_sides) - _angle(sides)).square()
    with torch.no_grad():
        alpha = aspect / (1 - iou + aspect + _EPSILON)
    return iou - distance / diagonal - alpha * aspect


def _area(sides: Tensor) -> Tensor:
    # The gradient of `prod` searches for zeros, for which the CPU waits for a GPU.
    return sides[..., 0] * sides[..., 1]


def _angle(sides: Tensor) -> Tensor:
    """Return the angle between a box's diagonal and its height."""
    width, height = sides.clamp(min=_EPSILON).unbind(-1)
    return torch.atan(width / height)


def object_corners(targets: Tensor, size: tuple[int, int]) -> Tensor:
    """Return x1, y1, x2, y2 of objects in pixels, (T, 4)."""
    sides = targets.new_tensor([size[1], size[0]])
    centers, half = targets[:, 2:4] * sides, targets[:, 4:6] * sides / 2
    return torch.cat([centers - half, centers + half], dim=1)


def _extended(corners: Tensor, min_side: float) -> Tensor:
    """Return boxes whose sides are at least `min_side`, with the same centers."""
    centers = (corners[:, :2] + corners[:, 2:]) / 2
    half = (corners[:, 2:] - corners[:, :2]).clamp(min=min_side) / 2
    return torch.cat([centers - half, centers + half], dim=1)


def _owners(
    align: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    image: Tensor,
    images: int,
    points: Tensor,
    regions: Tensor,
    top_k: int,
) -> Tensor:
    """Return the row of the object to which each point of each image (N, P) goes, or -1.

    Args:
        align: Maps rows of objects and indices of points, (K,) each, to u and alignment, (K,) each.
        image: Image index of each object, (T,).
        images: Number of images.
        points: x and y of the points in pixels, (P, 2).
        regions: Box of each object, extended to the smallest side, (T, 4).
        top_k: Most points that an object claims.
    """
    last_row = len(regions) - 1
    first_claim = image.new_full((images * len(points),), len(regions))
    last_claim, nearest = torch.full_like(first_claim, -1), torch.zeros_like(first_claim)
    rows = max(_MAX_PAIRS // max(len(points), 1), 1)
    for start in range(0, len(regions), rows):
        target, point = _pairs_inside(regions[start : start + rows], points)
        target = target + start
        cell = image[target] * len(points) + point
        overlap, alignment = align(target, point)
        nearest.scatter_reduce_(0, cell, _bits(overlap) * _BIT_RANGE + last_row - target, "amax")
        claims = _largest(alignment, target, top_k)
        first_claim.scatter_reduce_(0, cell[claims], target[claims], "amin")
        last_claim.scatter_reduce_(0, cell[claims], target[claims], "amax")
    is_contested = first_claim < last_claim
    return torch.where(is_contested, last_row - nearest % _BIT_RANGE, last_claim).view(images, len(points))


def _pairs_inside(regions: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pairs of a region and a point inside it, ordered by region and point."""
    x, y = points.unbind(1)
    x1, y1, x2, y2 = regions[..., None].unbind(1)
    region, point = ((x > x1) & (x < x2) & (y > y1) & (y < y2)).nonzero(as_tuple=True)
    return region, point


def _bits(values: Tensor) -> Tensor:
    """Return integers of 31 bits in the order of non-negative values: the bits of float32 have this order."""
    return values.float().view(torch.int32).long()


def _largest(alignment: Tensor, target: Tensor, top_k: int) -> Tensor:
    """Return the pairs of the `top_k` largest alignments above 0 of each target; `target` is sorted.

    The order is the same on every device: `topk` would choose any of equal alignments.
    """
    positive = (alignment > 0).nonzero().squeeze(1)
    target = target[positive]
    # Sorts by target, then from the largest alignment to the smallest, then by point.
    order = (target * _BIT_RANGE - _bits(alignment[positive])).argsort(stable=True)
    first = torch.searchsorted(target, target)
    rank = torch.arange(len(target), device=target.device) - first
    return positive[order[rank < top_k]]


def _largest_of(values: Tensor, target: Tensor, count: int) -> Tensor:
    """Return the largest of the non-negative values of each target, (T,); 0 without values."""
    return values.new_zeros(count).scatter_reduce(0, target, values, "amax")
