"""The interface of everything that runs a detector: torch, or the runtime of an exported file."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.runtimes.file_description import FileDescription


class Runtime(Protocol):
    """A detector that is ready to run, and the properties that its users need.

    `attendet.runtimes.open` returns the runtime of a file; one that wraps a network in torch is `TorchRuntime`.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their indices."""
        ...

    @property
    def imgsz(self) -> int:
        """Longer side in pixels that images are scaled to."""
        ...

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that all images must have; None if any multiple of the largest stride is taken."""
        ...

    @property
    def strides(self) -> tuple[float, ...]:
        """Stride of each level in pixels."""
        ...

    @property
    def suppression(self) -> SuppressionDefaults:
        """Thresholds of non-maximum suppression that are used unless others are given."""
        ...

    @property
    def description(self) -> FileDescription:
        """The complete description of the network."""
        ...

    def predict(self, images: Tensor) -> Tensor:
        """Run the network.

        Args:
            images: (N, 3, H, W), uint8 in 0-255 or floating-point in 0-1, on any device.

        Returns:
            Predictions (N, rows, 4 + num_classes) in float32, see `attendet.detection.nms`; or, if
            `description.selection` is not None, detections (N, max_detections, 6) in pixels of the canvas.
        """
        ...
