"""The detection head: raw maps only; decoding them is a function elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.wiring import detect
from attendet.errors import OptionError


@block(detect)
class Detect(nn.Module):
    """One 1x1 convolution per level: L maps (N, c, H, W) → L maps (N, A, H, W, classes + 5) of logits.

    The last axis holds x, y, w, h, objectness and one value per class. It is the same in training and evaluation.

    Biases start where about eight objects per image and 0.6 of each class among all cells are expected
    ("Focal Loss for Dense Object Detection", ICCV 2017, section 4.1, gives the reason).

    Args:
        num_classes: Number of classes.
        anchors: Sides of each level's A anchors in pixels, (width, height) pairs.
        channels: Channels of each level.
        strides: Stride of each level in pixels.

    Raises:
        OptionError: If there are not as many levels of anchors as of features, or not as many anchors in each.

    Example:
        >>> head = Detect(3, [[(10, 13), (16, 30)]], channels=[32], strides=[8])
        >>> [raw.shape for raw in head([torch.rand(1, 32, 4, 6)])]
        [torch.Size([1, 2, 4, 6, 8])]
    """

    anchors: Tensor

    def __init__(
        self,
        num_classes: int,
        anchors: Sequence[Sequence[tuple[float, float]]],
        channels: Sequence[int],
        strides: Sequence[float],
    ) -> None:
        super().__init__()
        if len(anchors) != len(channels):
            raise OptionError(
                f"there are anchors for {len(anchors)} levels and {len(channels)} levels to detect on",
                remedy="give one row of anchors per level",
            )
        if len({len(level) for level in anchors}) != 1:
            raise OptionError("the levels have different numbers of anchors", remedy="give each level as many")
        self.num_classes = num_classes
        self.strides = tuple(float(stride) for stride in strides)
        pixels = torch.tensor(anchors, dtype=torch.float32)
        self.register_buffer("anchors", pixels / torch.tensor(self.strides)[:, None, None])
        outputs = len(anchors[0]) * (num_classes + 5)
        self.m = nn.ModuleList(nn.Conv2d(width, outputs, 1) for width in channels)
        self._start_biases()

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one raw map (N, A, H, W, classes + 5) per level."""
        return tuple(self._by_anchor(conv(level)) for conv, level in zip(self.m, levels, strict=True))

    def anchors_in_pixels(self) -> Tensor:
        """Return the anchors' sides (L, A, 2) in pixels."""
        return self.anchors * self.anchors.new_tensor(self.strides)[:, None, None]

    def extra_repr(self) -> str:
        """Say for how many classes, and at which strides."""
        return f"num_classes={self.num_classes}, strides={self.strides}"

    def _by_anchor(self, raw: Tensor) -> Tensor:
        n, _, height, width = raw.shape
        return raw.reshape(n, self.anchors.shape[1], self.num_classes + 5, height, width).permute(0, 1, 3, 4, 2)

    @torch.no_grad()
    def _start_biases(self) -> None:
        for conv, stride in zip(self.m, self.strides, strict=True):
            bias = conv.get_parameter("bias").view(-1, self.num_classes + 5)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            bias[:, 5:] += math.log(0.6 / (self.num_classes - 0.99999))
