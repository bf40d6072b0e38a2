"""The images on which a file is compared with torch: several canvases and batch sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attendet.data.loading.canvases import canvas_shapes
from attendet.data.loading.resizing import ImageSize, letterbox

# Sides of synthetic images, (height, width): landscape, portrait, and square.
_SYNTHETIC_SIZES = ((480, 640), (600, 400), (512, 512))
_BATCHES = (1, 2, 3)


def parity_batches(
    images: Sequence[NDArray[np.uint8]], imgsz: ImageSize, stride: int, *, batch: int | None = None
) -> Iterator[Tensor]:
    """Yield batches of letterboxed images.

    For a file of dynamic size: single images on their own canvases, and batches on a canvas of half the size and on a
    square. For a static file: batches of its size.

    Args:
        images: Images (H, W, 3); any number, of any size.
        imgsz: Longer side of a scaled image in pixels, or height and width of the canvas.
        stride: Largest stride of the network in pixels.
        batch: Number of images of a static file; None for any number.

    Yields:
        (N, 3, H, W) float32 in 0-1.

    Example:
        >>> [tuple(each.shape) for each in parity_batches(synthetic_images(), 128, 32)]
        [(1, 3, 128, 160), (1, 3, 160, 128), (1, 3, 160, 160), (2, 3, 64, 64), (3, 3, 128, 128)]
    """
    if isinstance(imgsz, tuple):
        for start in range(0, len(images), batch or 1):
            chosen = [images[(start + number) % len(images)] for number in range(batch or 1)]
            yield _to_tensor([letterbox(image, imgsz)[0] for image in chosen])
        return
    for image in images:
        height, width = canvas_shapes(np.array([image.shape[1::-1]]), imgsz, stride)[0].tolist()
        yield _to_tensor([letterbox(image, imgsz, (height, width))[0]])
    square = -(-imgsz // stride) * stride
    # A feature map of the largest stride has several positions, so that maps over positions exist.
    half = max(2 * stride, square // 2 // stride * stride)
    for count, side in zip(_BATCHES[1:], (half, square), strict=True):
        chosen = [images[number % len(images)] for number in range(count)]
        yield _to_tensor([letterbox(image, min(side, imgsz), (side, side))[0] for image in chosen])


def synthetic_images(seed: int = 0) -> list[NDArray[np.uint8]]:
    """Return images with smooth structures at several scales, for networks without a data set.

    Example:
        >>> [image.shape for image in synthetic_images()]
        [(480, 640, 3), (600, 400, 3), (512, 512, 3)]
    """
    generator = np.random.default_rng(seed)
    images = []
    for height, width in _SYNTHETIC_SIZES:
        layers = [
            cv2.resize(generator.random((cells, cells, 3), np.float32), (width, height)) for cells in (3, 9, 27, 81)
        ]
        images.append((255 * np.mean(layers, axis=0)).astype(np.uint8))
    return images


def example_batches(example: Tensor, *, static: bool) -> Iterator[Tensor]:
    """Yield inputs of a network that is not a detector: of the size of an example, and of other sizes.

    Args:
        example: (N, C, …).
        static: Whether the file takes the shape of the example only.

    Example:
        >>> [tuple(each.shape) for each in example_batches(torch.zeros(1, 3, 64, 96), static=False)]
        [(1, 3, 64, 96), (2, 3, 96, 128), (3, 3, 128, 160)]
    """
    generator = torch.Generator().manual_seed(0)
    for number in (0, 1) if static else range(len(_BATCHES)):
        count = len(example) if static else _BATCHES[number]
        sizes = example.shape[2:] if static else [side + 32 * number for side in example.shape[2:]]
        yield torch.rand(count, example.shape[1], *sizes, generator=generator)


def _to_tensor(canvases: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2).float().div_(255).contiguous()
