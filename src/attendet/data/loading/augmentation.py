"""Augmentations of training samples; equal samples and equal states of the generator give equal results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attendet.data.loading.resizing import FILL, place_on_canvas

# A box that an augmentation cuts down to less than this does not show its object any more.
_MIN_SIDE = 2.0
_MIN_AREA_FRACTION = 0.1


@dataclass(frozen=True)
class Augmentation:
    """Ranges and probabilities of augmentations, named like YOLOv5's hyperparameters.

    Attributes:
        hsv_h: Largest shift of the hue, as a fraction (0-1) of the color circle.
        hsv_s: Largest relative change of the saturation, 0-1.
        hsv_v: Largest relative change of the brightness, 0-1.
        degrees: Largest rotation in degrees, in both directions.
        translate: Largest shift, as a fraction (0-1) of the image.
        scale: Largest relative change of the size, 0-1: 0.5 scales by a factor of 0.5 to 1.5.
        shear: Largest shear in degrees, in both directions.
        perspective: Largest perspective coefficient, 0-0.001.
        flipud: Probability of a vertical flip.
        fliplr: Probability of a horizontal flip.
        mosaic: Probability of joining four images.
        mixup: Probability of blending a mosaic with another one ("mixup", ICLR 2018).

    Example:
        >>> Augmentation(degrees=10, mosaic=0).fliplr
        0.5
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
        image: (H, W, 3) red, green, blue in 0-255.
        boxes: (objects, 4) x1, y1, x2, y2 in pixels.
        classes: (objects,) class indices.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]


def pad(sample: TrainingSample, shape: tuple[int, int]) -> TrainingSample:
    """Center a sample on a gray canvas, without scaling it.

    Args:
        sample: The sample.
        shape: Height and width of the canvas in pixels, at least as large as the image.

    Example:
        >>> sample = TrainingSample(np.zeros((48, 64, 3), np.uint8), np.array([[0.0, 0, 8, 8]]), np.array([1]))
        >>> padded = pad(sample, (64, 64))
        >>> padded.image.shape, padded.boxes.tolist()
        ((64, 64, 3), [[0.0, 8.0, 8.0, 16.0]])
    """
    canvas, position = place_on_canvas(sample.image, shape, sample.image.shape)
    return TrainingSample(canvas, position.to_canvas(sample.boxes), sample.classes)


def mosaic(samples: Sequence[TrainingSample], imgsz: int, generator: Generator) -> TrainingSample:
    """Join four samples around a random point ("YOLOv4", 2020, section 3.3).

    Each sample touches the point with one corner. Parts that do not fit on the canvas are cut off.

    Args:
        samples: Four samples; their longer sides have about `imgsz` pixels.
        imgsz: Half of the side of the canvas in pixels.
        generator: Draws the point.

    Returns:
        A sample with 2 * `imgsz` pixels per side.

    Example:
        >>> sample = TrainingSample(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, 0, 8, 8]]), np.array([1]))
        >>> joined = mosaic([sample] * 4, 64, np.random.default_rng(0))
        >>> joined.image.shape, len(joined.boxes)
        ((128, 128, 3), 4)
    """
    canvas = np.full((2 * imgsz, 2 * imgsz, 3), FILL, np.uint8)
    x, y = generator.integers(imgsz // 2, imgsz + imgsz // 2, 2).tolist()
    boxes = []
    for sample, (is_right, is_lower) in zip(samples, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
        height, width = sample.image.shape[:2]
        left = x if is_right else x - width
        top = y if is_lower else y - height
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, 2 * imgsz), min(top + height, 2 * imgsz)
        canvas[y1:y2, x1:x2] = sample.image[y1 - top : y2 - top, x1 - left : x2 - left]
        boxes.append(sample.boxes + np.array([left, top, left, top]))
    classes = np.concatenate([sample.classes for sample in samples])
    return _clip_boxes(TrainingSample(canvas, np.concatenate(boxes), classes))


def warp(sample: TrainingSample, shape: tuple[int, int], options: Augmentation, generator: Generator) -> TrainingSample:
    """Rotate, scale, shear, and shift a sample at random.

    Args:
        sample: The sample.
        shape: Height and width of the result in pixels; the center of the sample is moved to about its center.
        options: Ranges of the transformation.
        generator: Draws the transformation.

    Example:
        >>> sample = TrainingSample(np.zeros((64, 64, 3), np.uint8), np.array([[8.0, 8, 16, 16]]), np.array([1]))
        >>> options = Augmentation(translate=0, scale=0)
        >>> warp(sample, (32, 32), options, np.random.default_rng(0)).boxes.tolist()
        []
        >>> warp(sample, (96, 96), options, np.random.default_rng(0)).boxes.tolist()
        [[24.0, 24.0, 32.0, 32.0]]
    """
    matrix = _random_matrix(sample.image.shape[:2], shape, options, generator)
    size, border = (shape[1], shape[0]), (FILL,) * 3
    if options.perspective:
        image = cv2.warpPerspective(sample.image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=border)
    else:
        image = cv2.warpAffine(sample.image, matrix[:2], size, flags=cv2.INTER_LINEAR, borderValue=border)
    corners = sample.boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    moved = (np.concatenate([corners, np.ones((len(corners), 1))], axis=1) @ matrix.T).reshape(-1, 4, 3)
    # A corner behind the camera would be projected to the wrong side of the image.
    in_front = (moved[..., 2] > 0).all(1)
    points = moved[in_front, :, :2] / moved[in_front, :, 2:]
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    return _clip_boxes(TrainingSample(np.asarray(image, np.uint8), boxes, sample.classes[in_front]))


def flip(sample: TrainingSample, options: Augmentation, generator: Generator) -> TrainingSample:
    """Flip a sample horizontally, vertically, or both, with the probabilities `fliplr` and `flipud`.

    Example:
        >>> sample = TrainingSample(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, 0, 8, 8]]), np.array([1]))
        >>> flip(sample, Augmentation(fliplr=1), np.random.default_rng(0)).boxes.tolist()
        [[56.0, 0.0, 64.0, 8.0]]
    """
    image, boxes = sample.image, sample.boxes
    height, width = image.shape[:2]
    if generator.random() < options.fliplr:
        image, boxes = image[:, ::-1], np.array([width, 0, width, 0]) + boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    if generator.random() < options.flipud:
        image, boxes = image[::-1], np.array([0, height, 0, height]) + boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1]
    return TrainingSample(image, boxes, sample.classes)


def jitter_colors(sample: TrainingSample, options: Augmentation, generator: Generator) -> TrainingSample:
    """Shift the hue, and scale the saturation and the brightness, at random within `hsv_h`, `hsv_s`, and `hsv_v`.

    Example:
        >>> sample = TrainingSample(np.zeros((64, 64, 3), np.uint8), np.zeros((0, 4)), np.zeros(0, np.int64))
        >>> jitter_colors(sample, Augmentation(), np.random.default_rng(0)).image.max()
        np.uint8(0)
    """
    hue, saturation, value = generator.uniform(-1, 1, 3) * [options.hsv_h, options.hsv_s, options.hsv_v]
    levels = np.arange(256)
    # OpenCV's 8-bit hue is 0-179.
    tables = np.stack([np.rint(levels + 180 * hue) % 180, levels * (1 + saturation), levels * (1 + value)], axis=-1)
    hsv = cv2.cvtColor(np.ascontiguousarray(sample.image), cv2.COLOR_RGB2HSV)
    changed = cv2.LUT(hsv, np.rint(tables.clip(0, 255)).astype(np.uint8)[None])
    return TrainingSample(np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB), np.uint8), sample.boxes, sample.classes)


def mixup(first: TrainingSample, second: TrainingSample, generator: Generator) -> TrainingSample:
    """Blend two samples of the same shape, and keep the objects of both ("mixup", ICLR 2018, with α = 32).

    Example:
        >>> sample = TrainingSample(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, 0, 8, 8]]), np.array([1]))
        >>> len(mixup(sample, sample, np.random.default_rng(0)).boxes)
        2
    """
    weight = generator.beta(32, 32)
    images = np.ascontiguousarray(first.image), np.ascontiguousarray(second.image)
    image = cv2.addWeighted(images[0], weight, images[1], 1 - weight, 0)
    boxes, classes = np.concatenate([first.boxes, second.boxes]), np.concatenate([first.classes, second.classes])
    return TrainingSample(np.asarray(image, np.uint8), boxes, classes)


def _random_matrix(
    source: tuple[int, ...], shape: tuple[int, int], options: Augmentation, generator: Generator
) -> NDArray[np.float64]:
    """Return a random 3x3 matrix from pixels of the source to pixels of the canvas.

    Args:
        source: Height and width of the source in pixels.
        shape: Height and width of the canvas in pixels.
        options: Ranges of the transformation.
        generator: Draws the transformation.
    """
    angle = math.radians(generator.uniform(-options.degrees, options.degrees))
    scale = generator.uniform(1 - options.scale, 1 + options.scale)
    shear_x, shear_y = np.tan(np.radians(generator.uniform(-options.shear, options.shear, 2)))
    shift_x, shift_y = generator.uniform(0.5 - options.translate, 0.5 + options.translate, 2)
    perspective_x, perspective_y = generator.uniform(-options.perspective, options.perspective, 2)
    center = np.array([[1, 0, -source[1] / 2], [0, 1, -source[0] / 2], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [perspective_x, perspective_y, 1]])
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    shear = np.array([[1, shear_x, 0], [shear_y, 1, 0], [0, 0, 1]])
    shift = np.array([[1, 0, shift_x * shape[1]], [0, 1, shift_y * shape[0]], [0, 0, 1]])
    return shift @ shear @ rotation @ perspective @ center


def _clip_boxes(sample: TrainingSample) -> TrainingSample:
    """Clip boxes to the image, and drop boxes that are cut down to a small part of their object."""
    height, width = sample.image.shape[:2]
    clipped = sample.boxes.clip(0, [width, height, width, height])
    sides, full_sides = clipped[:, 2:] - clipped[:, :2], sample.boxes[:, 2:] - sample.boxes[:, :2]
    keep = (sides > _MIN_SIDE).all(1) & (sides.prod(1) > _MIN_AREA_FRACTION * full_sides.prod(1))
    return TrainingSample(sample.image, clipped[keep], sample.classes[keep])
