"""Points of a head without anchors: the centers of all cells of all levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import SymInt, Tensor


def cell_centers(
    sizes: Sequence[tuple[int | SymInt, int | SymInt]],
    strides: Sequence[float],
    *,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "p 2"], Float[Tensor, " p"]]:
    """Return the centers of the cells of all levels, ordered by level, y, and x.

    Args:
        sizes: Height and width of each level in cells; symbolic while a network is exported.
        strides: Stride of each level in pixels.
        device: Device of the results.
        dtype: Type of the results. bfloat16 represents integers exactly only up to 256.

    Returns:
        x and y of each center in pixels, (P, 2), and the stride of its level, (P,).

    Example:
        >>> points, stride = cell_centers([(1, 2), (1, 1)], [8.0, 16.0])
        >>> points.tolist(), stride.tolist()
        ([[4.0, 4.0], [12.0, 4.0], [8.0, 8.0]], [8.0, 8.0, 16.0])
    """
    points, stride_of_point = [], []
    for (height, width), stride in zip(sizes, strides, strict=True):
        y, x = torch.meshgrid(
            torch.arange(height, device=device, dtype=dtype),
            torch.arange(width, device=device, dtype=dtype),
            indexing="ij",
        )
        level = (torch.stack([x, y], dim=-1).flatten(0, 1) + 0.5) * stride
        points.append(level)
        stride_of_point.append(torch.full_like(level[:, 0], stride))
    return torch.cat(points), torch.cat(stride_of_point)
