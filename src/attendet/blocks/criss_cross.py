"""Criss-cross attention (Huang et al., ICCV 2019, arXiv:1811.11721)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import per_channel


@block(per_channel, "CrissCrossAttention", "CrissCross")
class CrissCrossAttention(nn.Module):
    """Attention of every position over its row and its column: (N, C, H, W) → the same shape.

    y = gamma * sum_i A_i V_i + x over the H + W - 1 positions i of the row and the column, with A a softmax of the
    products of query and key (equations 1 and 2). `gamma` is learned and starts at 0, so the block starts as identity.

    Args:
        channels: C, the number of channels, at least 8.
        reduction: Ratio of C to the channels of query and key.

    Example:
        >>> CrissCrossAttention(16)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.query_conv = nn.Conv2d(channels, hidden, 1)
        self.key_conv = nn.Conv2d(channels, hidden, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, C, H, W)."""
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        height = x.shape[2]
        column = torch.einsum("nchw,ncjw->nhwj", query, key)
        row = torch.einsum("nchw,nchj->nhwj", query, key)
        # The position itself is in its row and in its column, and counts once.
        itself = torch.eye(height, dtype=torch.bool, device=x.device)[:, None, :]
        weights = torch.cat([column.masked_fill(itself, -torch.inf), row], dim=3).softmax(dim=3)
        along_column = torch.einsum("nhwj,ncjw->nchw", weights[..., :height], value)
        along_row = torch.einsum("nhwj,nchj->nchw", weights[..., height:], value)
        return self.gamma * (along_column + along_row) + x
