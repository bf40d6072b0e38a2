"""Pure augmentations of (sample, generator): the same generator state gives the same sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attendet.data.loading.resizing import FILL, letterbox

# A box that an augmentation has cut down to less than this is no longer an example of its object.
LEAST_SIDE = 2.0
LEAST_AREA = 0.1


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied, in the names of YOLOv5's hyperparameter files.

    Attributes:
        hsv_h: Largest shift of the hue, as a share of the color circle.
        hsv_s: Largest change of the saturation, as a share.
        hsv_v: Largest change of the brightness, as a share.
        degrees: Largest rotation, either way.
        translate: Largest shift, as a share of the image.
        scale: Largest change of size, as a share: 0.5 is from half to one and a half.
        shear: Largest shear in degrees, either way.
        perspective: Largest perspective coefficient, 0-0.001.
        flipud: Probability of a flip upside down.
        fliplr: Probability of a flip left to right.
        mosaic: Probability of four images in one.
        mixup: Probability that a mosaic is blended with another one ("mixup", ICLR 2018).
    """

    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    degrees: float = 0.0
    translate: float = 0.1
    scale: float = 0.5
    shear: float = 0.0
    perspective: float = 0.0
    flipud: float = 0.0
    fliplr: float = 0.5
    mosaic: float = 1.0
    mixup: float = 0.0


@dataclass(frozen=True)
class TrainingSample:
    """An image and its objects.

    Attributes:
        image: (H, W, 3) RGB.
        boxes: (objects, 4) x1, y1, x2, y2 in pixels.
        classes: (objects,).
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]


def boxed(sample: TrainingSample, shape: tuple[int, int]) -> TrainingSample:
    """Return a sample in the middle of a gray canvas of this height and width, at least its own."""
    canvas, placed = letterbox(sample.image, max(sample.image.shape[:2]), shape)
    return TrainingSample(canvas, placed.to_canvas(sample.boxes), sample.classes)


def mosaic(samples: Sequence[TrainingSample], size: int, generator: Generator) -> TrainingSample:
    """Join four samples around a random point of a canvas of twice the size ("YOLOv4", 2020, section 3.3).

    Each touches the point with the corner that faces it; what does not fit is cut off.

    Args:
        samples: Four; their longer sides are about `size` pixels.
        size: Half the canvas's side in pixels.
        generator: Where the point comes from.

    Example:
        >>> gray = TrainingSample(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, 0, 8, 8]]), np.array([1]))
        >>> joined = mosaic([gray] * 4, 64, np.random.default_rng(0))
        >>> joined.image.shape, len(joined.boxes)
        ((128, 128, 3), 4)
    """
    canvas = np.full((2 * size, 2 * size, 3), FILL, np.uint8)
    x, y = generator.integers(size // 2, size + size // 2, 2).tolist()
    boxes = []
    for sample, (is_right, is_lower) in zip(samples, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
        height, width = sample.image.shape[:2]
        left = x if is_right else x - width
        top = y if is_lower else y - height
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, 2 * size), min(top + height, 2 * size)
        canvas[y1:y2, x1:x2] = sample.image[y1 - top : y2 - top, x1 - left : x2 - left]
        boxes.append(sample.boxes + np.array([left, top, left, top]))
    classes = np.concatenate([sample.classes for sample in samples])
    return _within(TrainingSample(canvas, np.concatenate(boxes), classes), np.concatenate(boxes))


def warp(sample: TrainingSample, shape: tuple[int, int], options: Augmentation, generator: Generator) -> TrainingSample:
    """Rotate, scale, shear and shift a sample about its center onto a canvas of another shape.

    Args:
        sample: Any.
        shape: Height and width of the canvas in pixels; the sample's center comes to about its middle.
        options: The ranges that the generator draws from.
        generator: Where the numbers come from.
    """
    matrix = _matrix(sample.image.shape[:2], shape, options, generator)
    if options.perspective:
        image = cv2.warpPerspective(
            sample.image, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR, borderValue=(FILL,) * 3
        )
    else:
        image = cv2.warpAffine(
            sample.image, matrix[:2], (shape[1], shape[0]), flags=cv2.INTER_LINEAR, borderValue=(FILL,) * 3
        )
    corners = sample.boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    moved = (np.concatenate([corners, np.ones((len(corners), 1))], axis=1) @ matrix.T).reshape(-1, 4, 3)
    # What reaches behind the eye has corners on the wrong side of the picture.
    ahead = (moved[..., 2] > 0).all(1)
    points = moved[ahead, :, :2] / moved[ahead, :, 2:]
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    return _within(TrainingSample(np.asarray(image, np.uint8), boxes, sample.classes[ahead]), boxes)


def flip(sample: TrainingSample, options: Augmentation, generator: Generator) -> TrainingSample:
    """Mirror a sample left to right, upside down, or both, by chance."""
    image, boxes = sample.image, sample.boxes
    height, width = image.shape[:2]
    if generator.random() < options.fliplr:
        image, boxes = image[:, ::-1], np.array([width, 0, width, 0]) + boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    if generator.random() < options.flipud:
        image, boxes = image[::-1], np.array([0, height, 0, height]) + boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1]
    return TrainingSample(image, boxes, sample.classes)


def jitter_colors(sample: TrainingSample, options: Augmentation, generator: Generator) -> TrainingSample:
    """Shift the hue and scale saturation and brightness."""
    hue, saturation, value = generator.uniform(-1, 1, 3) * [options.hsv_h, options.hsv_s, options.hsv_v]
    levels = np.arange(256)
    # OpenCV's hue of bytes counts to 180.
    tables = np.stack([np.rint(levels + 180 * hue) % 180, levels * (1 + saturation), levels * (1 + value)], axis=-1)
    hsv = cv2.cvtColor(np.ascontiguousarray(sample.image), cv2.COLOR_RGB2HSV)
    changed = cv2.LUT(hsv, np.rint(tables.clip(0, 255)).astype(np.uint8)[None])
    return TrainingSample(np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB), np.uint8), sample.boxes, sample.classes)


def blend(first: TrainingSample, second: TrainingSample, generator: Generator) -> TrainingSample:
    """Mix two samples of one shape and keep the objects of both ("mixup", ICLR 2018, with α = 32)."""
    share = generator.beta(32, 32)
    image = cv2.addWeighted(np.ascontiguousarray(first.image), share, np.ascontiguousarray(second.image), 1 - share, 0)
    boxes, classes = np.concatenate([first.boxes, second.boxes]), np.concatenate([first.classes, second.classes])
    return TrainingSample(np.asarray(image, np.uint8), boxes, classes)


def _matrix(
    source: tuple[int, ...], shape: tuple[int, int], options: Augmentation, generator: Generator
) -> NDArray[np.float64]:
    """Return the 3x3 matrix from pixels of the source to pixels of the canvas."""
    angle = math.radians(generator.uniform(-options.degrees, options.degrees))
    scale = generator.uniform(1 - options.scale, 1 + options.scale)
    shear_x, shear_y = np.tan(np.radians(generator.uniform(-options.shear, options.shear, 2)))
    shift_x, shift_y = generator.uniform(0.5 - options.translate, 0.5 + options.translate, 2)
    bend_x, bend_y = generator.uniform(-options.perspective, options.perspective, 2)
    center = np.array([[1, 0, -source[1] / 2], [0, 1, -source[0] / 2], [0, 0, 1]])
    bend = np.array([[1, 0, 0], [0, 1, 0], [bend_x, bend_y, 1]])
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    shear = np.array([[1, shear_x, 0], [shear_y, 1, 0], [0, 0, 1]])
    shift = np.array([[1, 0, shift_x * shape[1]], [0, 1, shift_y * shape[0]], [0, 0, 1]])
    return shift @ shear @ turn @ bend @ center


def _within(sample: TrainingSample, whole: NDArray[np.float64]) -> TrainingSample:
    """Clip boxes to the image and drop those of which too little is left."""
    height, width = sample.image.shape[:2]
    clipped = whole.clip(0, [width, height, width, height])
    sides, before = clipped[:, 2:] - clipped[:, :2], whole[:, 2:] - whole[:, :2]
    kept = (sides > LEAST_SIDE).all(1) & (sides.prod(1) > LEAST_AREA * before.prod(1))
    return TrainingSample(sample.image, clipped[kept], sample.classes[kept])
