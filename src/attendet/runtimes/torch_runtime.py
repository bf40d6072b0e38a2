"""A detector that torch runs."""

from __future__ import annotations

import torch
from torch import Tensor

from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.models.detector import Detector, prepare_for_inference
from attendet.runtimes.network_description import describe_detector
from attendet.runtimes.unit_range import in_unit_range
from attendet.weights.io.model_card import ModelCard


class TorchRuntime:
    """A detector in torch, with its batch norms folded into the convolutions.

    Args:
        detector: The detector; it is not changed.
        card: Its class names and image size.
        device: Device that computes, in the notation of torch.
        half: Whether to compute in half precision.

    Attributes:
        description: The complete description of the network.
        image_size: None: any multiple of the largest stride is taken.

    Example:
        >>> import attendet
        >>> card = ModelCard("", "", "auto", ("cell",), 320)
        >>> runtime = TorchRuntime(attendet.build("yolov5n", num_classes=1), card)
        >>> runtime.names, runtime.imgsz, runtime.image_size, runtime.predict(torch.rand(1, 3, 64, 64)).shape
        (('cell',), 320, None, torch.Size([1, 252, 5]))
    """

    image_size = None

    def __init__(self, detector: Detector, card: ModelCard, device: str = "cpu", *, half: bool = False) -> None:
        self.description, self._imgsz = describe_detector(detector, card), card.imgsz
        self._device, self._dtype = torch.device(device), torch.float16 if half else torch.float32
        self._detector = prepare_for_inference(detector, self._device, self._dtype)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their indices."""
        return self.description.names

    @property
    def imgsz(self) -> int:
        """Longer side in pixels that images are scaled to."""
        return self._imgsz

    @property
    def strides(self) -> tuple[float, ...]:
        """Stride of each level in pixels."""
        return self._detector.strides

    @property
    def suppression(self) -> SuppressionDefaults:
        """Thresholds of non-maximum suppression that are used unless others are given."""
        return self._detector.head.suppression

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Return predictions (N, rows, 4 + num_classes) for images (N, 3, H, W), as `Runtime.predict`."""
        images = in_unit_range(images.to(self._device), self._dtype).contiguous(memory_format=torch.channels_last)
        return self._detector.decode(self._detector(images))
