"""Assignment of objects to the anchors and cells that predict them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class AnchorMatches:
    """Matches between objects and the anchors and cells of one level, ordered by offset, anchor, and object.

    Attributes:
        image: Index of the image in the batch, (M,).
        anchor: Index of the anchor in the level, (M,).
        y: Row of the cell, (M,).
        x: Column of the cell, (M,).
        boxes: Center relative to the cell, width, and height in units of cells, (M, 4).
        classes: Class index of the object, (M,).
    """

    image: Int[Tensor, " m"]
    anchor: Int[Tensor, " m"]
    y: Int[Tensor, " m"]
    x: Int[Tensor, " m"]
    boxes: Float[Tensor, "m 4"]
    classes: Int[Tensor, " m"]


def assign_anchors(
    targets: Float[Tensor, "t 6"], anchors: Float[Tensor, "a 2"], height: int, width: int, anchor_t: float = 4.0
) -> AnchorMatches:
    """Match the objects of a batch with the anchors and cells of one level.

    An anchor matches an object if the ratios of their widths and of their heights are both less than `anchor_t`, in
    either direction. Each match is assigned to the cell of the object's center, and to the neighboring cells, at most
    two, that are nearest to the center.

    Args:
        targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
        anchors: Widths and heights of the anchors in units of cells, (A, 2).
        height: Number of rows of the level.
        width: Number of columns of the level.
        anchor_t: Largest ratio of the sides of an object and a matching anchor, in either direction.

    Returns:
        All matches of the level.

    Example:
        >>> matches = assign_anchors(torch.tensor([[0.0, 2.0, 0.3, 0.3, 0.5, 0.5]]), torch.tensor([[4.0, 4.0]]), 8, 8)
        >>> list(zip(matches.y.tolist(), matches.x.tolist()))
        [(2, 2), (2, 1), (1, 2)]
    """
    cells = targets.new_tensor([width, height])
    centers, sides = targets[:, 2:4] * cells, targets[:, 4:6] * cells
    ratio = sides[None] / anchors[:, None]
    anchor, target = (torch.maximum(ratio, 1 / ratio).amax(2) < anchor_t).nonzero(as_tuple=True)
    center = centers[target]

    # The cell of the center, then the neighbors to the left, above, to the right, and below.
    offsets = targets.new_tensor([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.5
    near_start = (center % 1 < 0.5) & (center > 1)
    near_end = ((cells - center) % 1 < 0.5) & (cells - center > 1)
    own_cell = torch.ones_like(near_start[:, :1])
    offset, match = torch.cat([own_cell, near_start, near_end], dim=1).T.nonzero(as_tuple=True)

    anchor, target, center = anchor[match], target[match], center[match]
    cell = (center - offsets[offset]).long()
    x, y = cell[:, 0].clamp(0, width - 1), cell[:, 1].clamp(0, height - 1)
    relative = center - torch.stack([x, y], dim=1)
    return AnchorMatches(
        image=targets[target, 0].long(),
        anchor=anchor,
        y=y,
        x=x,
        boxes=torch.cat([relative, sides[target]], dim=1),
        classes=targets[target, 1].long(),
    )
