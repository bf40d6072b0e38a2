"""What the runtimes of all exported files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from torch import Tensor

from attendet.errors import Location, OptionError, WeightsError
from attendet.runtimes.file_description import FileDescription, read_description
from attendet.runtimes.fixed_batches import run_in_batches
from attendet.runtimes.unit_range import in_unit_range


class ExportedFile(ABC):
    """An exported file that its runtime has opened.

    Attributes:
        path: The file.
        description: What the file contains.
    """

    def __init__(self, path: Path, description: FileDescription) -> None:
        self.path, self.description = path, description

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their indices."""
        return self.description.names

    @property
    def imgsz(self) -> int:
        """Longer side in pixels that images are scaled to."""
        return self.description.imgsz or max(self.image_size or (1,))

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that all images must have; None if any multiple of the largest stride is taken."""
        shape = self.description.shape
        return None if shape.height is None or shape.width is None else (shape.height, shape.width)

    @property
    def strides(self) -> tuple[float, ...]:
        """Stride of each level in pixels."""
        return self.description.strides

    def predict(self, images: Tensor) -> Tensor:
        """Return the first output for images (N, 3, H, W) in 0-1: predictions or detections."""
        return self.run(images)[self.description.outputs[0]]

    def run(self, images: Tensor) -> dict[str, Tensor]:
        """Return all outputs by their names.

        Args:
            images: (N, 3, H, W), uint8 in 0-255 or floating-point in 0-1, for detectors; (N, C, …) as the network takes
                them otherwise.

        Raises:
            OptionError: If the file does not take images of this shape.
        """
        outputs = run_in_batches(self.run_batch, in_unit_range(images.cpu()), self.description.shape)
        return dict(zip(self.description.outputs, outputs, strict=True))

    @abstractmethod
    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU, in the order of `description.outputs`."""
        ...


def description_of_file(text: str | None, path: Path) -> FileDescription:
    """Return the description in the metadata of an exported file.

    Args:
        text: The metadata; None if the file has none.
        path: The file.

    Raises:
        WeightsError: If the file has no description, or a damaged one.
    """
    where = Location(str(path))
    if text is None:
        message = "the file was not exported by attendet: it does not describe its classes and boxes"
        raise WeightsError(message, where=where, remedy="export the weights with `attendet export`")
    try:
        return read_description(text)
    except OptionError as error:
        raise WeightsError(error.message, where=where, remedy="export the weights again") from error
