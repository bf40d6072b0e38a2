"""From a head's raw maps to boxes in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def decode(
    raw: Sequence[Float[Tensor, "n a _ _ outputs"]],
    anchors: Float[Tensor, "levels a 2"],
    strides: Sequence[float],
) -> Float[Tensor, "n rows outputs"]:
    """Decode the logits of every level, anchor and cell.

    With σ the sigmoid, in cell (gx, gy) of a level of stride s and for an anchor (aw, ah):
    x = (2σ − 0.5 + gx)·s, y likewise; w = (2σ)²·aw, h likewise; objectness and class scores are σ.

    Args:
        raw: One map per level of x, y, w, h, objectness and class logits.
        anchors: Sides (width, height) of the anchors in pixels.
        strides: Stride of each level in pixels.

    Returns:
        In float32: x, y of the center, width and height in pixels, objectness and class scores in 0-1. Rows are
        ordered by level, anchor, y, x.

    Example:
        >>> raw = torch.zeros(1, 1, 2, 2, 6)
        >>> decode([raw], torch.tensor([[[10.0, 13.0]]]), [8.0])[0, 0]
        tensor([ 4.0000,  4.0000, 10.0000, 13.0000,  0.5000,  0.5000])
    """
    levels = zip(raw, anchors, strides, strict=True)
    return torch.cat([_decode_level(level, sides, stride) for level, sides, stride in levels], dim=1)


def _decode_level(raw: Tensor, anchors: Tensor, stride: float) -> Tensor:
    n, _, height, width, outputs = raw.shape
    # Eight bits of mantissa tell pixels apart up to 256 only.
    raw = raw.float()
    y, x = torch.meshgrid(
        torch.arange(height, device=raw.device, dtype=raw.dtype),
        torch.arange(width, device=raw.device, dtype=raw.dtype),
        indexing="ij",
    )
    scores = raw.sigmoid()
    centers = (2 * scores[..., 0:2] - 0.5 + torch.stack([x, y], dim=-1)) * stride
    sides = (2 * scores[..., 2:4]) ** 2 * anchors[:, None, None].float()
    return torch.cat([centers, sides, scores[..., 4:]], dim=-1).reshape(n, -1, outputs)
