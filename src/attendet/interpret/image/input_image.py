"""Images as the network takes them, and maps of the network in the coordinates of the image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from attendet.data.images import ImageLike, read_image
from attendet.data.loading.canvases import canvas_shapes
from attendet.data.loading.resizing import ImageSize, Letterbox, letterbox
from attendet.detection.postprocess import CanvasPlacement
from attendet.errors import DataError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation by which the images of torchvision's and most other classifiers are normalized."""

# torchvision's classifiers take a crop of 224 pixels of an image whose shorter side has 256.
_SHORTER_SIDE_PER_CROP = 256 / 224


@dataclass(frozen=True)
class InputImage:
    """An image, and the canvas with it that the network takes.

    Attributes:
        name: Path or name of the image.
        pixels: (H, W, 3) red, green, blue in 0-255, after EXIF rotation.
        tensor: (1, C, h, w), the canvas.
        letterbox: Position of the image on the canvas.
    """

    name: str
    pixels: NDArray[np.uint8]
    tensor: Tensor
    letterbox: Letterbox

    @property
    def placement(self) -> CanvasPlacement:
        """Size of the image, and its position on the canvas."""
        height, width = self.pixels.shape[:2]
        return CanvasPlacement(width, height, self.letterbox.scale, self.letterbox.left, self.letterbox.top)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the canvas in pixels of the image; padding is outside of the image."""
        height, width = self.tensor.shape[2:]
        corners = self.letterbox.to_image(np.array([[0.0, 0.0, width, height]]))[0]
        return tuple(corners.tolist())

    def __repr__(self) -> str:
        """Show the sizes of image and canvas instead of their pixels."""
        height, width = self.pixels.shape[:2]
        return f"InputImage({self.name!r}, {width}x{height} pixels, tensor={tuple(self.tensor.shape)})"


def letterboxed_image(name: str, pixels: NDArray[np.uint8], imgsz: ImageSize, stride: int) -> InputImage:
    """Prepare an image for a detector: on a gray canvas, with values in 0-1.

    Args:
        name: Name of the image.
        pixels: (H, W, 3) red, green, blue in 0-255.
        imgsz: Longer side in pixels that the image is scaled to, or height and width of the canvas.
        stride: Largest stride of the detector; the sides of the canvas are multiples of it.

    Example:
        >>> image = letterboxed_image("a.png", np.zeros((480, 640, 3), np.uint8), 320, 32)
        >>> image, image.extent
        (InputImage('a.png', 640x480 pixels, tensor=(1, 3, 256, 352)), (-32.0, -16.0, 672.0, 496.0))
    """
    height, width = pixels.shape[:2]
    rows, columns = canvas_shapes(np.array([[width, height]]), imgsz, stride)[0].tolist()
    canvas, placed = letterbox(pixels, imgsz, (rows, columns))
    tensor = torch.from_numpy(canvas).permute(2, 0, 1)[None].float().div_(255)
    return InputImage(name, pixels, tensor, placed)


def center_cropped_image(name: str, pixels: NDArray[np.uint8], imgsz: int) -> InputImage:
    """Prepare an image for a classifier as torchvision does: the center, 7/8 of the shorter side, normalized.

    Args:
        name: Name of the image.
        pixels: (H, W, 3) red, green, blue in 0-255.
        imgsz: Side of the square crop in pixels.

    Example:
        >>> image = center_cropped_image("a.png", np.zeros((512, 1024, 3), np.uint8), 224)
        >>> image.tensor.shape, image.extent
        (torch.Size([1, 3, 224, 224]), (288.0, 32.0, 736.0, 480.0))
    """
    height, width = pixels.shape[:2]
    columns, rows = (int(round(imgsz * _SHORTER_SIDE_PER_CROP) * side / min(height, width)) for side in (width, height))
    left, top = round((columns - imgsz) / 2), round((rows - imgsz) / 2)
    x, y = width / columns, height / rows
    # Only the crop is scaled: all of a long and narrow image could take any amount of memory.
    box = (left * x, top * y, (left + imgsz) * x, (top + imgsz) * y)
    cropped = np.array(Image.fromarray(pixels).resize((imgsz, imgsz), Image.Resampling.BILINEAR, box))
    values = functional.to_dtype(torch.from_numpy(cropped).permute(2, 0, 1), scale=True)
    tensor = functional.normalize(values, list(IMAGENET_MEAN), list(IMAGENET_STD))[None]
    return InputImage(name, pixels, tensor, Letterbox((1 / x, 1 / y), -left, -top))


def image_of_tensor(name: str, tensor: Tensor) -> InputImage:
    """Use a tensor (1, C, h, w) unchanged; for display, values outside of 0-1 are scaled from minimum to maximum."""
    display = tensor[0].detach().float().cpu()
    display = display[:3] if display.shape[0] >= 3 else display[:1].expand(3, -1, -1)
    low, high = display.amin(), display.amax()
    if low < 0 or high > 1:
        display = (display - low) / (high - low).clamp(min=1e-12)
    pixels = (display * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return InputImage(name, pixels, tensor, Letterbox((1.0, 1.0), 0, 0))


def map_on_image(values: NDArray[np.float32], image: InputImage, max_side: int | None = None) -> NDArray[np.float32]:
    """Transform a map of the canvas to the coordinates of the image, by bilinear interpolation.

    Args:
        values: (h', w'), a map whose cells divide the canvas evenly.
        image: The image.
        max_side: Longest side of the result in pixels (default: that of the image, which is never exceeded).

    Returns:
        (H, W), or smaller in the same proportions; NaN where the canvas does not show the image.

    Example:
        >>> image = letterboxed_image("a.png", np.zeros((40, 80, 3), np.uint8), 64, 32)
        >>> columns = np.array([[0, 1]], np.float32)
        >>> [round(float(value), 2) for value in map_on_image(columns, image)[0, [0, 40, 79]]]
        [0.0, 0.51, 1.0]
    """
    height, width = image.pixels.shape[:2]
    scale = min(1.0, (max_side or max(height, width)) / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    x1, y1, x2, y2 = image.extent
    x = (np.arange(columns) + 0.5) * width / columns
    y = (np.arange(rows) + 0.5) * height / rows
    x_weights = _interpolation_weights((x - x1) / (x2 - x1) * values.shape[1] - 0.5, values.shape[1])
    y_weights = _interpolation_weights((y - y1) / (y2 - y1) * values.shape[0] - 0.5, values.shape[0])
    on_image = y_weights @ values @ x_weights.T
    outside_x, outside_y = (x < x1) | (x > x2), (y < y1) | (y > y2)
    return np.where(outside_y[:, None] | outside_x[None], np.float32(np.nan), on_image)


def read_pixels(image: ImageLike, number: int, bit_depth: int = 16) -> tuple[str, NDArray[np.uint8]]:
    """Return the name of an image and its pixels (H, W, 3).

    Args:
        image: A path, an array (H, W, 3) of red, green, blue in 0-255, or a Pillow image.
        number: Number of the image, from 1, which names an image without a path.
        bit_depth: Number of bits of the values in files with 16 bits per channel.

    Raises:
        DataError: If the image cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return os.fspath(image), read_image(Path(image), bit_depth)
    pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise DataError(
            f"image {number} must be uint8 of the shape (height, width, 3), got {pixels.dtype} of {pixels.shape}",
            remedy="pass a path, a Pillow image, or an array of red, green, blue",
        )
    return f"image {number}", np.ascontiguousarray(pixels)


def _interpolation_weights(positions: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Return (positions, count): the weight of each of `count` values, at 0, 1, 2 …, at each position."""
    lower = np.clip(np.floor(positions), 0, count - 1).astype(np.intp)
    upper = np.minimum(lower + 1, count - 1)
    fraction = np.clip(positions - lower, 0, 1)
    weights = np.zeros((len(positions), count), np.float32)
    rows = np.arange(len(positions))
    weights[rows, lower] += 1 - fraction
    weights[rows, upper] += fraction
    return weights
