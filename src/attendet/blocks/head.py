"""The detection head. It returns raw maps; `attendet.detection.decode` converts them to boxes."""

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
    """Detection head, one 1x1 convolution per level: L maps (N, c, H, W) → L maps (N, A, H, W, num_classes + 5).

    The last axis contains the logits of x, y, w, h, objectness, and the classes. The output is the same in training and
    evaluation mode.

    The initial biases correspond to about eight objects per image and 0.6 objects of each class among all cells; see
    "Focal Loss for Dense Object Detection", ICCV 2017, section 4.1.

    Args:
        num_classes: Number of classes.
        anchors: Width and height of the A anchors of each level in pixels.
        channels: Number of channels of each level.
        strides: Stride of each level in pixels.

    Raises:
        OptionError: If the number of levels differs between `anchors` and `channels`, or the number of anchors differs
            between levels.

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
                f"`anchors` must have one row for each of {len(channels)} levels, got {len(anchors)} rows"
            )
        if len({len(level) for level in anchors}) != 1:
            counts = ", ".join(str(len(level)) for level in anchors)
            raise OptionError(f"`anchors` must have the same number of anchors for each level, got {counts}")
        self.num_classes = num_classes
        self.strides = tuple(float(stride) for stride in strides)
        pixels = torch.tensor(anchors, dtype=torch.float32)
        self.register_buffer("anchors", pixels / torch.tensor(self.strides)[:, None, None])
        outputs = len(anchors[0]) * (num_classes + 5)
        self.m = nn.ModuleList(nn.Conv2d(width, outputs, 1) for width in channels)
        self._initialize_biases()

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one raw map (N, A, H, W, num_classes + 5) per level."""
        return tuple(self._by_anchor(conv(level)) for conv, level in zip(self.m, levels, strict=True))

    def anchors_in_pixels(self) -> Tensor:
        """Return the widths and heights of the anchors in pixels, (L, A, 2)."""
        return self.anchors * self.anchors.new_tensor(self.strides)[:, None, None]

    def extra_repr(self) -> str:
        """Return the number of classes and the strides."""
        return f"num_classes={self.num_classes}, strides={self.strides}"

    def _by_anchor(self, raw: Tensor) -> Tensor:
        n, _, height, width = raw.shape
        return raw.reshape(n, self.anchors.shape[1], self.num_classes + 5, height, width).permute(0, 1, 3, 4, 2)

    @torch.no_grad()
    def _initialize_biases(self) -> None:
        for conv, stride in zip(self.m, self.strides, strict=True):
            bias = conv.get_parameter("bias").view(-1, self.num_classes + 5)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            bias[:, 5:] += math.log(0.6 / (self.num_classes - 0.99999))
