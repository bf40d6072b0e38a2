"""The head of YOLOv8 and YOLO11: no anchors, no objectness, and separate branches for boxes and classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from attendet.blocks.catalog import block
from attendet.blocks.conv import Conv, DWConv
from attendet.blocks.heads.detection_head import DetectionHead, LossOptions
from attendet.blocks.heads.distribution import DFL
from attendet.blocks.wiring import detect_points
from attendet.detection.loss_value import BatchProcesses, DetectionLoss
from attendet.detection.map_decoding import PointMapDecoding
from attendet.detection.point_decoding import decode_points
from attendet.detection.point_loss import PointLossWeights, anchor_free_loss
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError, unknown_name

ClassBranch = Literal["dense", "depthwise"]

_BINS = 16
_MAX_CLASS_WIDTH = 100


@block(detect_points)
class AnchorFreeDetect(DetectionHead):
    """Detection head without anchors: L maps (N, c, H, W) → L raw maps (N, 64 + num_classes, H, W).

    A raw map has the logits of 16 bins for each of the four sides of a box (left, top, right, bottom), then one logit
    for each class. Each cell predicts one box: the distances from its center to the sides are the means of the
    distributions ("Generalized Focal Loss", arXiv:2006.04388), in cells. The output is the same in training and
    evaluation mode.

    The initial biases correspond to five objects per image among all cells of a level.

    Args:
        num_classes: Number of classes.
        channels: Number of channels of each level.
        strides: Stride of each level in pixels.
        classes: Convolutions of the class branch: `dense` 3x3 as in YOLOv8, or `depthwise` 3x3 and 1x1 as in YOLO11.

    Raises:
        OptionError: If `num_classes` is less than 1, `channels` is empty, or `strides` has another length.
        UnknownNameError: If `classes` is neither of the two.

    Example:
        >>> head = AnchorFreeDetect(3, channels=[32], strides=[8])
        >>> raw = head([torch.rand(1, 32, 4, 6)])
        >>> [level.shape for level in raw], head.decode(raw).shape
        ([torch.Size([1, 67, 4, 6])], torch.Size([1, 24, 7]))
    """

    loss_options: ClassVar[type[LossOptions]] = PointLossWeights
    loss_parts: ClassVar[tuple[str, ...]] = ("box", "cls", "dfl")
    suppression: ClassVar[SuppressionDefaults] = SuppressionDefaults(0.7, 0.7, 300)

    def __init__(
        self, num_classes: int, channels: Sequence[int], strides: Sequence[float], classes: ClassBranch = "dense"
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise OptionError(f"`num_classes` must be at least 1, got {num_classes}")
        if not channels:
            raise OptionError("`channels` must have at least one level, got none")
        if len(channels) != len(strides):
            raise OptionError(f"`strides` must have one stride for each of {len(channels)} levels, got {len(strides)}")
        if classes not in get_args(ClassBranch):
            raise unknown_name("class branch", classes, get_args(ClassBranch))
        self.num_classes = num_classes
        self.strides = tuple(float(stride) for stride in strides)
        box_width = max(channels[0] // 4, 4 * _BINS)
        class_width = max(channels[0], min(num_classes, _MAX_CLASS_WIDTH))
        branch = {"dense": _dense_branch, "depthwise": _depthwise_branch}[classes]
        self.cv2 = nn.ModuleList(_dense_branch(width, box_width, 4 * _BINS) for width in channels)
        self.cv3 = nn.ModuleList(branch(width, class_width, num_classes) for width in channels)
        # Files of weights contain it; `decode_points` computes the same means.
        self.dfl = DFL(_BINS)
        self._initialize_biases()

    def convolve(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the raw maps (N, 64 + num_classes, H, W)."""
        branches = zip(self.cv2, self.cv3, levels, strict=True)
        return tuple(torch.cat([boxes(level), classes(level)], dim=1) for boxes, classes, level in branches)

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Return predictions (N, rows, 4 + num_classes) in the order of level, y, and x."""
        return decode_points(raw, self.strides, _BINS)

    def class_logits(self, raw: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the logits of the classes, (N, rows, num_classes) per level."""
        return tuple(level[:, 4 * _BINS :].flatten(2).transpose(1, 2) for level in raw)

    def compute_loss(
        self, raw: Sequence[Tensor], targets: Tensor, options: PointLossWeights, processes: BatchProcesses | None
    ) -> DetectionLoss:
        """Return the loss of raw maps, see `attendet.detection.anchor_free_loss`."""
        return anchor_free_loss(raw, targets, self.strides, options, processes, _BINS)

    def map_decoding(self) -> PointMapDecoding:
        """Return the decoding of points with the number of bins."""
        return PointMapDecoding(_BINS)

    @torch.no_grad()
    def _initialize_biases(self) -> None:
        for boxes, classes, stride in zip(self.cv2, self.cv3, self.strides, strict=True):
            boxes.get_parameter("2.bias").fill_(1.0)
            classes.get_parameter("2.bias").fill_(math.log(5 / self.num_classes / (640 / stride) ** 2))


def _dense_branch(channels: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(Conv(channels, width, 3), Conv(width, width, 3), nn.Conv2d(width, outputs, 1))


def _depthwise_branch(channels: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(DWConv(channels, channels, 3), Conv(channels, width)),
        nn.Sequential(DWConv(width, width, 3), Conv(width, width)),
        nn.Conv2d(width, outputs, 1),
    )
