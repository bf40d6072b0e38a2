"""The shapes of the canvases that images are placed on: how much gray surrounds an image."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attendet.data.loading.resizing import ImageSize, scaled_shapes

SingleCanvasRule: TypeAlias = Literal["border", "tight", "square"]
"""How the shape of a canvas is chosen, regardless of other images; see `canvas_shapes`."""

CanvasRule: TypeAlias = Literal[SingleCanvasRule, "yolov5"]
"""How the shape of a canvas is chosen; see `canvas_shapes`."""

# As strides of the network.
_BORDER = 0.5
# The batch size of the original's validation, which shares one canvas within a batch.
_YOLOV5_BATCH = 32


def canvas_shapes(
    sizes: NDArray[np.int64], imgsz: ImageSize, stride: int, rule: CanvasRule = "border"
) -> NDArray[np.int64]:
    """Return the shape of the canvas for each image; its sides are multiples of the stride.

    Networks of the YOLO family were trained on images with gray around them, and find objects at the edge of an image
    better with a little of it. The rules are:

    - `border`: the smallest canvas that leaves at least half a stride of gray along both axes, left and right (above
      and below) together.
    - `tight`: the smallest canvas that holds the image.
    - `square`: `imgsz` pixels per side, rounded up to a multiple of the stride.
    - `yolov5`: as the original's `val.py` with its batch size of 32. The images are sorted by the ratio of their sides,
      and the images of a batch share the canvas that `border` gives the widest (tallest) of them. The canvas of an
      image, and so its detections, depend on the other images.

    Args:
        sizes: (images, 2) width and height in pixels.
        imgsz: Longer side of a scaled image in pixels. Or height and width of all canvases, multiples of the stride;
            the rule then has no effect.
        stride: Largest stride of the network in pixels.
        rule: `border`, `tight`, `square`, or `yolov5`.

    Returns:
        (images, 2) height and width in pixels.

    Example:
        >>> sizes = np.array([[640, 480], [100, 400]])
        >>> for rule in ("border", "tight", "square", "yolov5"):
        ...     print(rule, canvas_shapes(sizes, 320, 32, rule).tolist())
        border [[256, 352], [352, 96]]
        tight [[256, 320], [320, 96]]
        square [[320, 320], [320, 320]]
        yolov5 [[352, 352], [352, 352]]
    """
    if isinstance(imgsz, tuple):
        return np.tile(np.array(imgsz, np.int64), (len(sizes), 1))
    match rule:
        case "border":
            return border_shapes(sizes, imgsz, stride, _BORDER)
        case "tight":
            return border_shapes(sizes, imgsz, stride, 0)
        case "square":
            return _round_up(np.full_like(sizes, imgsz) / stride, stride)
        case "yolov5":
            return _round_up(_shared_proportions(sizes) * imgsz / stride + _BORDER, stride)


def border_shapes(sizes: NDArray[np.int64], imgsz: int, stride: int, border: float) -> NDArray[np.int64]:
    """Return the smallest canvas for each image that leaves a gray border.

    Args:
        sizes: (images, 2) width and height in pixels.
        imgsz: Longer side of a scaled image in pixels.
        stride: Largest stride of the network in pixels.
        border: Least width of the gray along an axis, on both sides together, as strides.

    Returns:
        (images, 2) height and width in pixels.

    Example:
        >>> border_shapes(np.array([[640, 480]]), 320, 32, border=1).tolist()
        [[288, 352]]
    """
    return _round_up(scaled_shapes(sizes, imgsz) / stride + border, stride)


def _shared_proportions(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (images, 2): the smallest height and width, with 1 the longer side, that hold every image of a batch."""
    ratios = sizes[:, 1] / sizes[:, 0]
    order = np.argsort(ratios, kind="stable")
    proportions = np.ones((len(sizes), 2))
    for start in range(0, len(order), _YOLOV5_BATCH):
        batch = order[start : start + _YOLOV5_BATCH]
        proportions[batch] = min(1, ratios[batch].max()), min(1, 1 / ratios[batch].min())
    return proportions


def _round_up(strides: NDArray[np.float64], stride: int) -> NDArray[np.int64]:
    return np.ceil(strides).astype(np.int64) * stride
