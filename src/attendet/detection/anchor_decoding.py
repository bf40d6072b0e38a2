"""Decoding of the raw maps of a head with anchors to boxes in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def decode_anchors(
    raw: Sequence[Float[Tensor, "n a _ _ outputs"]],
    anchors: Float[Tensor, "levels a 2"],
    strides: Sequence[float],
) -> Float[Tensor, "n rows outputs"]:
    """Decode the logits of all levels, anchors, and cells.

    With σ the sigmoid, for cell (gx, gy) of a level with stride s and an anchor (aw, ah):
    x = (2σ − 0.5 + gx)·s, and y likewise; w = (2σ)²·aw, and h likewise; objectness and class scores are σ.

    Args:
        raw: One map (N, A, H, W, num_classes + 5) per level with logits of x, y, w, h, objectness, and classes.
        anchors: Widths and heights of the anchors in pixels, (levels, A, 2).
        strides: Stride of each level in pixels.

    Returns:
        Predictions (N, rows, num_classes + 5) in float32: x, y of the center, width, and height in pixels, objectness
        and class scores in 0-1. Rows are ordered by level, anchor, y, and x.

    Example:
        >>> raw = torch.zeros(1, 1, 2, 2, 6)
        >>> decode_anchors([raw], torch.tensor([[[10.0, 13.0]]]), [8.0])[0, 0]
        tensor([ 4.0000,  4.0000, 10.0000, 13.0000,  0.5000,  0.5000])
    """
    levels = zip(raw, anchors, strides, strict=True)
    return torch.cat([_decode_level(level, sides, stride) for level, sides, stride in levels], dim=1)


def class_confidences(predictions: Float[Tensor, "n rows outputs"]) -> Float[Tensor, "n rows columns"]:
    """Return predictions with the confidence of each class, which is objectness times class score.

    Args:
        predictions: Predictions (N, rows, num_classes + 5) of `decode_anchors`.

    Returns:
        Predictions (N, rows, 4 + num_classes): x, y, w, h in pixels, and the confidence of each class in 0-1.

    Example:
        >>> class_confidences(torch.tensor([[[4.0, 4.0, 10.0, 13.0, 0.5, 0.8]]]))
        tensor([[[ 4.0000,  4.0000, 10.0000, 13.0000,  0.4000]]])
    """
    return torch.cat([predictions[..., :4], predictions[..., 5:] * predictions[..., 4:5]], dim=-1)


def _decode_level(raw: Tensor, anchors: Tensor, stride: float) -> Tensor:
    n, _, height, width, outputs = raw.shape
    # bfloat16 has eight bits of mantissa and represents integers exactly only up to 256.
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
