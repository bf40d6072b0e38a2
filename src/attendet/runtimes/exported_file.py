"""What the runtimes of all exported files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from torch import Tensor

from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import AttendetError, Location, OptionError, WeightsError
from attendet.runtimes.file_description import FileDescription, read_description
from attendet.runtimes.fixed_batches import run_in_batches
from attendet.runtimes.unit_range import in_unit_range
from attendet.utils.devices import is_out_of_memory


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

    @property
    def suppression(self) -> SuppressionDefaults:
        """Thresholds of non-maximum suppression that are used unless others are given.

        Raises:
            OptionError: If the network is not a detector.
        """
        if self.description.suppression is None:
            raise OptionError(f"the file must be a detector, got another network: {self.path}")
        return self.description.suppression

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
            WeightsError: If the network fails, or its outputs differ from its description.
        """
        self._require_images(images)
        shape = tuple(images.shape)
        try:
            outputs = run_in_batches(self.run_batch, in_unit_range(images.cpu()), self.description.shape)
        except AttendetError:
            raise
        except Exception as error:  # runtimes raise errors of many classes
            if is_out_of_memory(error):
                raise
            raise self._damaged(f"the network fails for images of the shape {shape}: {first_line(error)}") from error
        names = self.description.outputs
        if len(outputs) != len(names):
            raise self._damaged(f"the network must have {len(names)} outputs, got {len(outputs)}")
        if self.description.kind == "detector":
            self._require_rows(outputs[0], len(images))
        return dict(zip(names, outputs, strict=True))

    @abstractmethod
    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU, in the order of `description.outputs`."""
        ...

    def _require_images(self, images: Tensor) -> None:
        shape = tuple(images.shape)
        is_detector = self.description.kind == "detector"
        if not shape or not shape[0] or (is_detector and (len(shape) != 4 or shape[1] != 3)):
            expected = "(N, 3, H, W)" if is_detector else "(N, C, …)"
            raise OptionError(f"`images` must have the shape {expected} with N of at least 1, got {shape}")
        stride = int(max(self.strides, default=1))
        if is_detector and self.image_size is None and (shape[2] % stride or shape[3] % stride):
            message = f"height and width of `images` must be multiples of {stride} pixels, got {shape[2]},{shape[3]}"
            raise OptionError(message)

    def _require_rows(self, rows: Tensor, images: int) -> None:
        """Raise an error unless predictions or detections have the shape and the classes of the description."""
        selection, classes = self.description.selection, len(self.names)
        columns = 6 if selection else 4 + classes
        if rows.ndim != 3 or rows.shape[0] != images or rows.shape[2] != columns or not rows.is_floating_point():
            message = f"the network must return numbers ({images}, rows, {columns}) for {classes} classes"
            raise self._damaged(f"{message}, got {tuple(rows.shape)}")
        if selection and not ((rows[..., 5] >= 0) & (rows[..., 5] < classes)).all():
            raise self._damaged(f"detections must have classes from 0 to {classes - 1}")

    def _damaged(self, message: str) -> WeightsError:
        return WeightsError(message, where=Location(str(self.path)), remedy="export the weights again")


def first_line(error: BaseException) -> str:
    r"""Return the first line of a library's error, which often continues with instructions for its developers.

    Example:
        >>> first_line(RuntimeError("sizes differ\nplease report this")), first_line(RuntimeError())
        ('sizes differ', 'RuntimeError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def description_of_file(text: str | None, path: Path) -> FileDescription:
    """Return the description in the metadata of an exported file.

    Args:
        text: The metadata; None if the file has no description.
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
