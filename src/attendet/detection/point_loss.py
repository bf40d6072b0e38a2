"""The loss of the raw maps of a head without anchors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from attendet.detection.loss_value import BatchProcesses, DetectionLoss
from attendet.detection.point_decoding import mean_distances
from attendet.detection.point_matching import PointMatches, assign_points, complete_iou, object_corners
from attendet.detection.points import cell_centers

# The largest distance stays this far (in cells) below the last bin, so that there is a bin above it.
_MARGIN = 0.01


@dataclass(frozen=True)
class PointLossWeights:
    """Weights of the loss of a head without anchors, named as in YOLOv8's hyperparameter files.

    They are the same for any number of classes, levels, and pixels, because all parts are divided by the sum of the
    target scores.

    Attributes:
        box: Weight of the box loss.
        cls: Weight of the class loss.
        dfl: Weight of the distribution focal loss of the distances to the sides of boxes.
    """

    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5


def anchor_free_loss(
    raw: Sequence[Float[Tensor, "n outputs _ _"]],
    targets: Float[Tensor, "t 6"],
    strides: Sequence[float],
    weights: PointLossWeights | None = None,
    processes: BatchProcesses | None = None,
    bins: int = 16,
) -> DetectionLoss:
    """Return the loss of raw maps without anchors.

    Points are assigned by `assign_points`, whose scores are the targets of the class loss, a binary cross-entropy. They
    are also the weights of the other parts: 1 − CIoU of the boxes ("Distance-IoU Loss", AAAI 2020, equation 10) and the
    distribution focal loss of the distances to their sides ("Generalized Focal Loss", arXiv:2006.04388, equation 6).
    All parts are divided by the sum of the scores, or by 1 if the sum is less. The loss is computed in float32 for maps
    of lower precision.

    Args:
        raw: One map (N, 4 * bins + num_classes, H, W) of logits per level, as for `decode_points`.
        targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
        strides: Stride of each level in pixels.
        weights: Weights of the parts (default: `PointLossWeights()`).
        processes: The processes that share a batch (default: this one has the whole batch).
        bins: Number of values of the distribution of a distance.

    Returns:
        The total and its parts `box`, `cls`, and `dfl`.

    Example:
        >>> loss = anchor_free_loss([torch.zeros(1, 4 * 16 + 1, 4, 4)], torch.zeros(0, 6), [8.0])
        >>> round(loss.total.item(), 4)
        5.5452
    """
    weights = weights or PointLossWeights()
    raw = [level if level.dtype == torch.float64 else level.float() for level in raw]
    targets = targets.to(raw[0].dtype)
    size = (round(raw[0].shape[2] * strides[0]), round(raw[0].shape[3] * strides[0]))
    sizes = [(level.shape[2], level.shape[3]) for level in raw]
    points, stride = cell_centers(sizes, strides, device=targets.device, dtype=raw[0].dtype)
    matches = _matches(raw, targets, points, stride, size, bins)
    matches, outputs = _by_level(raw, matches)
    positives = _Positives(
        outputs[:, : 4 * bins].unflatten(1, (4, bins)).log_softmax(2),
        points[matches.point],
        stride[matches.point, None],
        object_corners(targets, size)[matches.target],
        matches.scores,
    )
    class_logits = outputs[:, 4 * bins :].gather(1, targets[matches.target, 1:2].long()).squeeze(1)
    # The binary cross-entropy of a logit x with target t is softplus(x) − x·t, and most targets are 0.
    entropy = torch.stack([functional.softplus(level[:, 4 * bins :]).sum() for level in raw]).sum()
    count = matches.scores.sum()
    # The sum over the whole batch is at least 1.
    count = processes.mean(count).clamp(min=1 / processes.count) if processes else count.clamp(min=1)
    parts = {
        "box": weights.box * _box_loss(positives) / count,
        "cls": weights.cls * (entropy - (class_logits * matches.scores).sum()) / count,
        "dfl": weights.dfl * _distribution_loss(positives) / count,
    }
    return DetectionLoss(torch.stack(list(parts.values())).sum() * raw[0].shape[0], parts)


@dataclass(frozen=True)
class _Positives:
    """Predictions and objects at the points with an object.

    Attributes:
        log_probabilities: Logarithms of the distributions of the distances, (M, 4, bins).
        points: x and y of the points in pixels, (M, 2).
        stride: Stride of the points in pixels, (M, 1).
        corners: x1, y1, x2, y2 of the objects in pixels, (M, 4).
        scores: Target scores, (M,).
    """

    log_probabilities: Tensor
    points: Tensor
    stride: Tensor
    corners: Tensor
    scores: Tensor


@torch.no_grad()
def _matches(
    raw: Sequence[Tensor], targets: Tensor, points: Tensor, stride: Tensor, size: tuple[int, int], bins: int
) -> PointMatches:
    """Assign the objects to points by the predictions at all points."""
    distances = torch.cat([mean_distances(level[:, : 4 * bins]) for level in raw], dim=2)
    boxes = _boxes(distances.transpose(1, 2), points, stride[:, None])
    logits = torch.cat([level[:, 4 * bins :].flatten(2) for level in raw], dim=2)
    return assign_points(logits.transpose(1, 2), boxes, targets, points, size)


def _by_level(raw: Sequence[Tensor], matches: PointMatches) -> tuple[PointMatches, Tensor]:
    """Return the matches, ordered by level, and their logits (M, outputs).

    Copying all levels to one tensor would take longer than all other steps of the loss.
    """
    selected, outputs, start = [], [], 0
    for level in raw:
        cells = level.flatten(2)
        end = start + cells.shape[2]
        selected.append(((matches.point >= start) & (matches.point < end)).nonzero().squeeze(1))
        outputs.append(cells[matches.image[selected[-1]], :, matches.point[selected[-1]] - start])
        start = end
    order = torch.cat(selected)
    ordered = (matches.image[order], matches.point[order], matches.target[order], matches.scores[order])
    return PointMatches(*ordered), torch.cat(outputs)


def _boxes(distances: Tensor, points: Tensor, stride: Tensor) -> Tensor:
    """Return x1, y1, x2, y2 in pixels (..., 4) for distances (..., 4) in cells."""
    pixels = distances * stride
    return torch.cat([points - pixels[..., :2], points + pixels[..., 2:]], dim=-1)


def _box_loss(positives: _Positives) -> Tensor:
    """Return the sum of 1 − CIoU, weighted by the target scores."""
    values = torch.arange(positives.log_probabilities.shape[2], device=positives.points.device)
    distances = (positives.log_probabilities.exp() * values).sum(2)
    boxes = _boxes(distances, positives.points, positives.stride)
    return ((1 - complete_iou(boxes, positives.corners)) * positives.scores).sum()


def _distribution_loss(positives: _Positives) -> Tensor:
    """Return the sum of the mean distribution focal losses of the four sides, weighted by the target scores."""
    before, after = positives.points - positives.corners[:, :2], positives.corners[:, 2:] - positives.points
    distances = torch.cat([before, after], dim=1) / positives.stride
    distances = distances.clamp(0, positives.log_probabilities.shape[2] - 1 - _MARGIN)[..., None]
    below = distances.long()
    weights = distances - below
    lower, upper = positives.log_probabilities.gather(2, torch.cat([below, below + 1], dim=2)).split(1, dim=2)
    entropy = -torch.lerp(lower, upper, weights)
    return (entropy.mean(dim=(1, 2)) * positives.scores).sum()
