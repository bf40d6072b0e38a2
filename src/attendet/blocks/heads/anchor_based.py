"""The head of YOLOv5: anchors, objectness, and one convolution per level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.heads.detection_head import DetectionHead, LossOptions
from attendet.blocks.wiring import detect
from attendet.detection.anchor_decoding import class_confidences, decode_anchors
from attendet.detection.anchor_loss import AnchorLossWeights, anchor_based_loss
from attendet.detection.anchors import AnchorFitting, adapt_anchors
from attendet.detection.loss_value import BatchProcesses, DetectionLoss
from attendet.detection.map_decoding import AnchorMapDecoding
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError


@block(detect)
class Detect(DetectionHead):
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
    loss_options: ClassVar[type[LossOptions]] = AnchorLossWeights
    loss_parts: ClassVar[tuple[str, ...]] = ("box", "obj", "cls")
    suppression: ClassVar[SuppressionDefaults] = SuppressionDefaults(0.45, 0.6, 1000)

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

    def convolve(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one map (N, A·(num_classes + 5), H, W) per level; its channels are ordered by anchor, then output."""
        return tuple(conv(level) for conv, level in zip(self.m, levels, strict=True))

    def arrange(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one raw map (N, A, H, W, num_classes + 5) per level."""
        return tuple(map(self._by_anchor, maps))

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Return predictions (N, rows, 4 + num_classes) in the order of level, anchor, y, and x.

        The confidence of a class is its score times the objectness.
        """
        return class_confidences(decode_anchors(raw, self.anchors_in_pixels(), self.strides))

    def class_logits(self, raw: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the sum of the objectness logit and the class logit, (N, rows, num_classes) per level.

        With a single class, the class logit carries no information and is left out.
        """
        logits = (level.flatten(1, 3) for level in raw)
        return tuple(rows[..., 4:5] + rows[..., 5:] if self.num_classes > 1 else rows[..., 4:5] for rows in logits)

    def compute_loss(
        self, raw: Sequence[Tensor], targets: Tensor, options: AnchorLossWeights, processes: BatchProcesses | None
    ) -> DetectionLoss:
        """Return the loss of raw maps, see `attendet.detection.anchor_based_loss`."""
        return anchor_based_loss(raw, targets, self.anchors_in_pixels(), self.strides, options, processes)

    @torch.no_grad()
    def fit_to(self, sides: NDArray[np.float64], options: AnchorLossWeights, fitting: AnchorFitting) -> str:
        """Fit the anchors to the objects of a data set, see `attendet.detection.adapt_anchors`."""
        pixels = self.anchors_in_pixels()
        fitted, sentence = adapt_anchors(pixels.double().cpu().numpy(), sides, options.anchor_t, fitting)
        if fitted is not None:
            # Divided in float32, as the anchors of model files are.
            self.anchors.copy_(torch.from_numpy(fitted).float() / torch.tensor(self.strides)[:, None, None])
        return sentence

    def map_decoding(self) -> AnchorMapDecoding:
        """Return the decoding of anchors with their sides in pixels."""
        levels = self.anchors_in_pixels().tolist()
        return AnchorMapDecoding(tuple(tuple((width, height) for width, height in level) for level in levels))

    def anchors_in_pixels(self) -> Tensor:
        """Return the widths and heights of the A anchors of each level in pixels, (levels, A, 2)."""
        return self.anchors * self.anchors.new_tensor(self.strides)[:, None, None]

    def _by_anchor(self, raw: Tensor) -> Tensor:
        n, _, height, width = raw.shape
        return raw.reshape(n, self.anchors.shape[1], self.num_classes + 5, height, width).permute(0, 1, 3, 4, 2)

    @torch.no_grad()
    def _initialize_biases(self) -> None:
        for conv, stride in zip(self.m, self.strides, strict=True):
            bias = conv.get_parameter("bias").view(-1, self.num_classes + 5)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            bias[:, 5:] += math.log(0.6 / (self.num_classes - 0.99999))
