"""Decoding of the raw maps of a head without anchors to boxes in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attendet.detection.points import cell_centers


def decode_points(
    raw: Sequence[Float[Tensor, "n _ _ _"]], strides: Sequence[float], bins: int = 16
) -> Float[Tensor, "n points outputs"]:
    """Decode the logits of all levels and cells.

    Each side of a box is given by the distance from the center of its cell: the mean of a distribution over 0, 1, …,
    `bins` − 1 cells ("Generalized Focal Loss", arXiv:2006.04388, equation 5). Class scores are sigmoids.

    Args:
        raw: One map (N, 4 * bins + num_classes, H, W) per level: logits of the distances to the left, top, right, and
            bottom side with `bins` channels each, then logits of the classes.
        strides: Stride of each level in pixels.
        bins: Number of values of the distribution of a distance.

    Returns:
        Predictions (N, points, 4 + num_classes) in float32: x, y of the center, width, and height in pixels, and class
        scores in 0-1. Points are ordered by level, y, and x.

    Example:
        >>> raw = torch.zeros(1, 4 * 16 + 1, 2, 2)
        >>> decode_points([raw], [8.0])[0, 0]
        tensor([  4.0000,   4.0000, 120.0000, 120.0000,   0.5000])
    """
    # bfloat16 has eight bits of mantissa and represents integers exactly only up to 256.
    distances = torch.cat([mean_distances(level[:, : 4 * bins].float()) for level in raw], dim=2)
    scores = torch.cat([level[:, 4 * bins :].float().sigmoid().flatten(2) for level in raw], dim=2)
    points, stride = cell_centers(
        [(level.shape[2], level.shape[3]) for level in raw], strides, device=raw[0].device, dtype=torch.float32
    )
    before, after = distances[:, :2], distances[:, 2:]
    boxes = torch.cat([points.T + (after - before) * (stride / 2), (before + after) * stride], dim=1)
    return torch.cat([boxes, scores], dim=1).transpose(1, 2).contiguous()


def mean_distances(logits: Float[Tensor, "n _ ..."]) -> Float[Tensor, "n 4 points"]:
    """Return the means of the distributions over distances from cell centers to the sides of boxes.

    Args:
        logits: Logits (N, 4 * bins, H, W) or (N, 4 * bins, points) of the distances to the left, top, right, and bottom
            side.

    Returns:
        Distances (N, 4, H * W) or (N, 4, points) in cells.

    Example:
        >>> mean_distances(torch.zeros(1, 4 * 3, 1, 1))[0, :, 0]
        tensor([1., 1., 1., 1.])
    """
    probabilities = logits.flatten(2).unflatten(1, (4, -1)).softmax(2)
    values = torch.arange(probabilities.shape[2], device=logits.device, dtype=logits.dtype)
    # A product of matrices would be rounded to TensorFloat-32 if the user allows that.
    return (probabilities * values[:, None]).sum(2)
