"""Which cells and anchors answer for which objects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """The M matches of one level, in the order offset, anchor, target.

    Attributes:
        image: (M,) image in the batch.
        anchor: (M,) anchor of the level.
        y: (M,) row of the cell.
        x: (M,) column of the cell.
        boxes: (M, 4) center relative to the cell, width and height, in cells.
        classes: (M,) class.
    """

    image: Int[Tensor, " m"]
    anchor: Int[Tensor, " m"]
    y: Int[Tensor, " m"]
    x: Int[Tensor, " m"]
    boxes: Float[Tensor, "m 4"]
    classes: Int[Tensor, " m"]


def assign(
    targets: Float[Tensor, "t 6"], anchors: Float[Tensor, "a 2"], height: int, width: int, anchor_t: float = 4.0
) -> Matches:
    """Match the objects of a batch with the anchors and cells of one level.

    An anchor matches an object when neither side is `anchor_t` times as long as the other's or more. Each match is
    also given to the up to two neighboring cells nearest to the object's center.

    Args:
        targets: Image, class, x, y of the center, width and height in 0-1.
        anchors: Width and height in cells.
        height: Rows of the level.
        width: Columns of the level.
        anchor_t: Largest ratio of sides, either way.

    Example:
        >>> matches = assign(torch.tensor([[0.0, 2.0, 0.3, 0.3, 0.5, 0.5]]), torch.tensor([[4.0, 4.0]]), 8, 8)
        >>> list(zip(matches.y.tolist(), matches.x.tolist()))
        [(2, 2), (2, 1), (1, 2)]
    """
    cells = targets.new_tensor([width, height])
    centers, sides = targets[:, 2:4] * cells, targets[:, 4:6] * cells
    ratio = sides[None] / anchors[:, None]
    anchor, target = (torch.maximum(ratio, 1 / ratio).amax(2) < anchor_t).nonzero(as_tuple=True)
    center = centers[target]

    # The cell itself, then the neighbors left, above, right and below.
    offsets = targets.new_tensor([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.5
    near_start = (center % 1 < 0.5) & (center > 1)
    near_end = ((cells - center) % 1 < 0.5) & (cells - center > 1)
    itself = torch.ones_like(near_start[:, :1])
    offset, match = torch.cat([itself, near_start, near_end], dim=1).T.nonzero(as_tuple=True)

    anchor, target, center = anchor[match], target[match], center[match]
    cell = (center - offsets[offset]).long()
    x, y = cell[:, 0].clamp(0, width - 1), cell[:, 1].clamp(0, height - 1)
    relative = center - torch.stack([x, y], dim=1)
    return Matches(
        image=targets[target, 0].long(),
        anchor=anchor,
        y=y,
        x=x,
        boxes=torch.cat([relative, sides[target]], dim=1),
        classes=targets[target, 1].long(),
    )
