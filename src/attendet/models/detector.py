"""The detector: the network that a model file describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.blocks.heads.detection_head import DetectionHead
from attendet.errors import OptionError


@dataclass(frozen=True)
class Route:
    """The inputs of a row.

    Attributes:
        sources: Indices of the rows that it reads; -1 is the image.
        joins: Whether its module takes a list of feature maps instead of a single one.
    """

    sources: tuple[int, ...]
    joins: bool


class Detector(nn.Module):
    """A YOLO detector: images (N, 3, H, W) with values in 0-1 → one raw map per level.

    The raw maps are logits, in training and in evaluation; their shapes depend on the head, (N, anchors, H/s, W/s,
    num_classes + 5) for YOLOv5 and (N, 64 + num_classes, H/s, W/s) for YOLOv8 and YOLO11. `decode` turns them into
    boxes and confidences, which have the same form for all heads. The keys of the state dict are `model.{row}.…`, as in
    the original files. `attendet.build` creates detectors.

    Args:
        modules: One module per row; the last is a detection head.
        routes: Inputs of each row.
        backbone: Number of rows of the backbone, which are the first rows.

    Example:
        >>> import torch, attendet
        >>> detector = attendet.build("yolov5n", num_classes=3)
        >>> raw = detector(torch.rand(1, 3, 64, 96))
        >>> [tuple(level.shape) for level in raw]
        [(1, 3, 8, 12, 8), (1, 3, 4, 6, 8), (1, 3, 2, 3, 8)]
        >>> detector.decode(raw).shape
        torch.Size([1, 378, 7])
    """

    def __init__(self, modules: Sequence[nn.Module], routes: Sequence[Route], backbone: int) -> None:
        super().__init__()
        self.model = nn.ModuleList(modules)
        self.routes = tuple(routes)
        self.backbone = backbone
        # Outputs that a later row than the next one reads.
        self._read_later = {source for row, route in enumerate(routes) for source in route.sources if source != row - 1}

    @property
    def head(self) -> DetectionHead:
        """The detection head."""
        head = self.model[-1]
        if not isinstance(head, DetectionHead):
            raise OptionError(f"the last row must be Detect, got {type(head).__name__}")
        return head

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.head.num_classes

    @property
    def strides(self) -> tuple[float, ...]:
        """Stride of each level in pixels."""
        return self.head.strides

    def regions(self) -> dict[str, tuple[str, ...]]:
        """Return the paths of the rows of backbone, neck, and head."""
        paths = tuple(f"model.{row}" for row in range(len(self.model)))
        return {"backbone": paths[: self.backbone], "neck": paths[self.backbone : -1], "head": paths[-1:]}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the raw maps of logits, one per level.

        Args:
            images: Images (N, 3, H, W) with values in 0-1; H and W are multiples of the largest stride.
        """
        outputs = {-1: images}
        x = images
        for row, (module, route) in enumerate(zip(self.model, self.routes, strict=True)):
            inputs = [x if source == row - 1 else outputs[source] for source in route.sources]
            x = module(inputs if route.joins else inputs[0])
            if row in self._read_later:
                outputs[row] = x
        return tuple(x)

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Decode raw maps into boxes and confidences.

        Args:
            raw: The raw maps, one per level.

        Returns:
            Predictions (N, rows, 4 + num_classes) in float32: x, y of the center, width, and height in pixels, and the
            confidence of each class in 0-1.
        """
        return self.head.decode(raw)


def prepare_for_inference(
    detector: Detector, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> Detector:
    """Return a copy of a detector for fast inference.

    The batch norms are folded into the convolutions, and the weights are in channels-last memory format, which is
    faster on CPUs and in half precision.

    Args:
        detector: The network; it is not changed.
        device: Device of the copy.
        dtype: Type of its weights.

    Example:
        >>> import attendet
        >>> fast = prepare_for_inference(attendet.build("yolov5n"), "cpu")
        >>> fast.training, any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
        (False, False)
    """
    return fuse_conv_bn(detector).to(device=device, dtype=dtype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
