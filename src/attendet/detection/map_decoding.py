"""Decoding of the outputs of a head's last convolutions, described by plain values that a file can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from attendet.detection.anchor_decoding import class_confidences, decode_anchors
from attendet.detection.point_decoding import decode_points

_MAX_BINS = 64


@dataclass(frozen=True)
class AnchorMapDecoding:
    """Decoding of maps (N, A·(num_classes + 5), H, W), whose channels are ordered by anchor, then by output.

    Attributes:
        anchors: Width and height of the A anchors of each level in pixels.

    Example:
        >>> AnchorMapDecoding(anchors=(((10.0, 13.0),),)).decode([torch.zeros(1, 7, 2, 2)], [8.0]).shape
        torch.Size([1, 4, 6])
    """

    anchors: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.anchors)

    def require_possible(self) -> None:
        """Check values that come from a stranger's file.

        Raises:
            ValueError: If they cannot be used.
        """
        sides = [side for level in self.anchors for anchor in level for side in anchor]
        if not sides or not all(0 < side < math.inf for side in sides):
            raise ValueError("`anchors` must be positive and finite")
        if len({len(level) for level in self.anchors}) > 1:
            raise ValueError("`anchors` must have the same number of anchors for each stride")

    def decode(self, maps: Sequence[Tensor], strides: Sequence[float]) -> Tensor:
        """Return predictions (N, rows, 4 + num_classes): boxes in pixels, and confidences of the classes in 0-1."""
        anchors = torch.tensor(self.anchors, device=maps[0].device)
        raw = [level.unflatten(1, (anchors.shape[1], -1)).permute(0, 1, 3, 4, 2) for level in maps]
        return class_confidences(decode_anchors(raw, anchors, strides))


@dataclass(frozen=True)
class PointMapDecoding:
    """Decoding of maps (N, 4·bins + num_classes, H, W), whose channels are the bins of four sides, then the classes.

    Attributes:
        bins: Number of bins of the distribution of each side.

    Example:
        >>> PointMapDecoding(bins=16).decode([torch.zeros(1, 66, 2, 2)], [8.0]).shape
        torch.Size([1, 4, 6])
    """

    bins: int

    @property
    def levels(self) -> None:
        """Number of levels; None because any number is possible."""
        return None

    def require_possible(self) -> None:
        """Check values that come from a stranger's file.

        Raises:
            ValueError: If they cannot be used.
        """
        if not 1 <= self.bins <= _MAX_BINS:
            raise ValueError(f"`bins` must be 1 to {_MAX_BINS}, got {self.bins}")

    def decode(self, maps: Sequence[Tensor], strides: Sequence[float]) -> Tensor:
        """Return predictions (N, rows, 4 + num_classes): boxes in pixels, and confidences of the classes in 0-1."""
        return decode_points(maps, strides, self.bins)


MapDecoding: TypeAlias = AnchorMapDecoding | PointMapDecoding
