"""The interface of detection heads: convolve, decode, and score. Other code does not depend on the kind of head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from attendet.detection.anchors import AnchorFitting
from attendet.detection.loss_value import BatchProcesses, DetectionLoss
from attendet.detection.map_decoding import MapDecoding
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError


class LossOptions(Protocol):
    """Weights and options of a loss: a frozen dataclass whose fields are numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@runtime_checkable
class ScaledLossOptions(Protocol):
    """Options of a loss whose best weights depend on the task, unlike the options of other losses."""

    def scaled(self, *, num_classes: int, levels: int, imgsz: int) -> LossOptions:
        """Return the weights for a number of classes, a number of levels, and the side of the images in pixels."""
        ...


class DetectionHead(nn.Module, ABC):
    """A detection head: one feature map (N, c, H, W) per level → one raw map of logits per level.

    Training, validation, prediction, explanation, and export use heads through this interface only.

    Attributes:
        num_classes: Number of classes.
        strides: Stride of each level in pixels.
        loss_options: Class of the weights and options of its loss.
        loss_parts: Names of the parts of its loss.
        suppression: Published thresholds of non-maximum suppression.
    """

    num_classes: int
    strides: tuple[float, ...]
    loss_options: ClassVar[type[LossOptions]]
    loss_parts: ClassVar[tuple[str, ...]]
    suppression: ClassVar[SuppressionDefaults]

    @abstractmethod
    def convolve(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs (N, outputs, H, W) of the last convolutions, one map per level."""

    def arrange(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the raw maps, given the outputs of the last convolutions."""
        return tuple(maps)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one raw map per level."""
        return self.arrange(self.convolve(levels))

    @abstractmethod
    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Return predictions (N, rows, 4 + num_classes) in float32.

        A row has x and y of the center, width, and height of a box in pixels, and the confidence of each class, 0-1.
        """

    @abstractmethod
    def class_logits(self, raw: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return logits that increase with the confidence of each class, (N, rows, num_classes) per level.

        The rows are in the order of `decode`.
        """

    def loss(
        self, raw: Sequence[Tensor], targets: Tensor, options: LossOptions, processes: BatchProcesses | None = None
    ) -> DetectionLoss:
        """Return the loss of raw maps.

        Args:
            raw: One raw map per level, in float32.
            targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
            options: Weights and options, an instance of `loss_options`.
            processes: The processes that share a batch; None if this one has the whole batch.

        Raises:
            OptionError: If the options belong to another head.
        """
        if not isinstance(options, self.loss_options):
            expected, got = self.loss_options.__name__, type(options).__name__
            raise OptionError(f"`options` must be {expected}, got {got}")
        return self.compute_loss(raw, targets, options, processes)

    @abstractmethod
    def compute_loss(
        self, raw: Sequence[Tensor], targets: Tensor, options: Any, processes: BatchProcesses | None
    ) -> DetectionLoss:
        """Return the loss, given options of the right class, as `loss` does."""

    def fit_to(
        self,
        sides: NDArray[np.float64],  # noqa: ARG002 (only heads with anchors depend on them)
        options: Any,  # noqa: ARG002
        fitting: AnchorFitting,  # noqa: ARG002
    ) -> str | None:
        """Adapt the constants of the head to the objects of a data set, unless it has no such constants.

        Args:
            sides: Widths and heights of the objects in pixels at the training size, (objects, 2).
            options: Weights and options of the loss, an instance of `loss_options`.
            fitting: When and how anchors are fitted.

        Returns:
            A sentence about the constants; None if the head has no such constants.
        """
        return None

    @abstractmethod
    def map_decoding(self) -> MapDecoding:
        """Return how the outputs of the last convolutions become predictions, as plain values for exported files."""

    def extra_repr(self) -> str:
        """Return the number of classes and the strides."""
        return f"num_classes={self.num_classes}, strides={self.strides}"
