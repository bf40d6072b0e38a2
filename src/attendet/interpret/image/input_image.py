"""An image as its file shows it, as the network takes it, and how the one lies in the other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from attendet.data.images import read_image
from attendet.data.loading.resizing import Letterbox, canvas_shapes, letterbox
from attendet.errors import DataError

ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.uint8] | Image.Image

# What torchvision's and most other classifiers were trained with; a crop of 224 of an image whose shorter side is 256.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHORTER_PER_CROP = 256 / 224


@dataclass(frozen=True)
class Picture:
    """An image and the tensor that the network gets.

    Attributes:
        name: What to call it.
        pixels: (H, W, 3) red, green, blue in 0-255, as shown: EXIF rotation is applied.
        tensor: (1, 3, h, w), the canvas.
        placed: How the image lies on the canvas.
    """

    name: str
    pixels: NDArray[np.uint8]
    tensor: Tensor
    placed: Letterbox

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The canvas as x1, y1, x2, y2 in pixels of the image: beyond the image where the canvas is padded."""
        height, width = self.tensor.shape[2:]
        corners = self.placed.to_image(np.array([[0.0, 0.0, width, height]]))[0]
        return tuple(corners.tolist())


def for_detector(name: str, pixels: NDArray[np.uint8], size: int, stride: int) -> Picture:
    """Return an image on a gray canvas, its longer side scaled to `size` pixels, values in 0-1.

    Example:
        >>> picture = for_detector("a.png", np.zeros((480, 640, 3), np.uint8), 320, 32)
        >>> picture.tensor.shape, picture.extent
        (torch.Size([1, 3, 256, 320]), (0.0, -16.0, 640.0, 496.0))
    """
    height, width = pixels.shape[:2]
    rows, columns = canvas_shapes(np.array([[width, height]]), size, stride)[0].tolist()
    canvas, placed = letterbox(pixels, size, (rows, columns))
    tensor = torch.from_numpy(canvas).permute(2, 0, 1)[None].float().div_(255)
    return Picture(name, pixels, tensor, placed)


def for_classifier(name: str, pixels: NDArray[np.uint8], size: int) -> Picture:
    """Return the center of an image as torchvision's classifiers take it: normalized, `size` of 8/7 · `size` pixels.

    Example:
        >>> picture = for_classifier("a.png", np.zeros((512, 1024, 3), np.uint8), 224)
        >>> picture.tensor.shape, picture.extent
        (torch.Size([1, 3, 224, 224]), (288.0, 32.0, 736.0, 480.0))
    """
    height, width = pixels.shape[:2]
    columns, rows = (int(round(size * SHORTER_PER_CROP) * side / min(height, width)) for side in (width, height))
    left, top = round((columns - size) / 2), round((rows - size) / 2)
    x, y = width / columns, height / rows
    # The crop alone is computed: all of a long and narrow image, scaled, would take any amount of memory.
    box = (left * x, top * y, (left + size) * x, (top + size) * y)
    cropped = np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box))
    values = functional.to_dtype(torch.from_numpy(cropped).permute(2, 0, 1), scale=True)
    tensor = functional.normalize(values, list(MEAN), list(DEVIATION))[None]
    return Picture(name, pixels, tensor, Letterbox((1 / x, 1 / y), -left, -top))


def of_tensor(name: str, tensor: Tensor) -> Picture:
    """Return a tensor (1, C, h, w) as it is; what is not in 0-1 is shown between its least and greatest value."""
    shown = tensor[0].detach().float().cpu()
    shown = shown[:3] if shown.shape[0] >= 3 else shown[:1].expand(3, -1, -1)
    low, high = shown.amin(), shown.amax()
    if low < 0 or high > 1:
        shown = (shown - low) / (high - low).clamp(min=1e-12)
    pixels = (shown * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return Picture(name, pixels, tensor, Letterbox((1.0, 1.0), 0, 0))


def on_image(values: NDArray[np.float32], picture: Picture, longest: int | None = None) -> NDArray[np.float32]:
    """Return a map (h', w') of the whole canvas, laid over the image; NaN where the network saw nothing of it.

    Args:
        values: The map; its cells divide the canvas evenly.
        picture: The image.
        longest: Longer side of the result in pixels; that of the image if None, and never more.

    Returns:
        (H, W), or smaller in the same proportions; between the cells' centers bilinear.

    Example:
        >>> picture = for_detector("a.png", np.zeros((40, 80, 3), np.uint8), 64, 32)
        >>> columns = np.array([[0, 1]], np.float32)
        >>> [round(float(value), 2) for value in on_image(columns, picture)[0, [0, 40, 79]]]
        [0.0, 0.51, 1.0]
    """
    height, width = picture.pixels.shape[:2]
    shrink = min(1.0, (longest or max(height, width)) / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))
    x1, y1, x2, y2 = picture.extent
    x = (np.arange(columns) + 0.5) * width / columns
    y = (np.arange(rows) + 0.5) * height / rows
    along_x = _mixing((x - x1) / (x2 - x1) * values.shape[1] - 0.5, values.shape[1])
    along_y = _mixing((y - y1) / (y2 - y1) * values.shape[0] - 0.5, values.shape[0])
    flat = along_y @ values @ along_x.T
    unseen_x, unseen_y = (x < x1) | (x > x2), (y < y1) | (y > y2)
    return np.where(unseen_y[:, None] | unseen_x[None], np.float32(np.nan), flat)


def read(image: ImageLike, number: int) -> tuple[str, NDArray[np.uint8]]:
    """Return an image's name and its pixels (H, W, 3) as shown.

    Args:
        image: A path, an (H, W, 3) array of red, green, blue in 0-255, or a Pillow image.
        number: Which of the images it is, from 1 on: a name for those without.

    Raises:
        DataError: If it cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return os.fspath(image), read_image(Path(image))
    pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise DataError(
            f"image {number} is {pixels.dtype} of the shape {pixels.shape}",
            remedy="give a path, a Pillow image, or uint8 (height, width, 3) in red, green and blue",
        )
    return f"image {number}", np.ascontiguousarray(pixels)


def _mixing(places: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Return (places, count): how much of each of `count` values, 1 apart, is in the value at each place."""
    lower = np.clip(np.floor(places), 0, count - 1).astype(np.intp)
    upper = np.minimum(lower + 1, count - 1)
    share = np.clip(places - lower, 0, 1)
    mixing = np.zeros((len(places), count), np.float32)
    each = np.arange(len(places))
    mixing[each, lower] += 1 - share
    mixing[each, upper] += share
    return mixing
