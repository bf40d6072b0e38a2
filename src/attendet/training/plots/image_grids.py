"""Draw images with boxes: a training batch with its objects, and validation images with objects and detections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from torch import Tensor

from attendet.errors import OptionError
from attendet.evaluation.curves import IOU
from attendet.evaluation.matching import UNMATCHED, GroundTruth, ImageResult, match_detections
from attendet.utils.plotting import COLORS, INK, class_color, class_label, contrasting_color, new_figure, save_figure

_MAX_IMAGES = 16
_MAX_PAIRS = 8
# In inches: width of an image, gap between images, height of a legend line, and width of a legend entry.
_TILE, _GAP, _LINE, _ENTRY = 3.2, 0.06, 0.28, 2.4
_DASHES = (0, (2.5, 1.5))
_CONFIDENCE = 0.25

LegendEntry: TypeAlias = tuple[Line2D, str]


def training_batch_grid(
    images: Sequence[NDArray[np.uint8]], truths: Sequence[GroundTruth], names: Sequence[str], path: Path
) -> None:
    """Draw up to 16 training images in a grid, with the boxes of their objects.

    Args:
        images: RGB images (height, width, 3).
        truths: Objects of each image, in pixels of the image.
        names: Class names in the order of their indices.
        path: The file to write.

    Raises:
        OptionError: If there are no images.
        OutputError: If the file cannot be written.
    """
    _require_images(images)
    images, truths = images[:_MAX_IMAGES], truths[:_MAX_IMAGES]
    entries = _legend_entries(names, [truth.classes.tolist() for truth in truths])
    figure, tiles = _grid(images, math.ceil(math.sqrt(len(images))), entries)
    for axes, image, truth in zip(tiles, images, truths, strict=True):
        _show(axes, image)
        for box, number in zip(truth.boxes.tolist(), truth.classes.tolist(), strict=True):
            _draw_box(axes, box, number, _label(names, number), correct=True)
    save_figure(figure, path)


def prediction_grid(
    images: Sequence[NDArray[np.uint8]],
    detections: Sequence[Tensor],
    truths: Sequence[GroundTruth],
    names: Sequence[str],
    path: Path,
) -> None:
    """Draw up to 8 validation images twice: with their objects, and with the detections above confidence 0.25.

    Missed objects and false detections (at IoU 0.5, for the same class) have dashed boxes.

    Args:
        images: RGB images (height, width, 3).
        detections: Detections (k, 6) of each image: x1, y1, x2, y2 in pixels, confidence (0-1), class.
        truths: Objects of each image, in pixels of the image.
        names: Class names in the order of their indices.
        path: The file to write.

    Raises:
        OptionError: If there are no images.
        OutputError: If the file cannot be written.
    """
    _require_images(images)
    images, detections, truths = images[:_MAX_PAIRS], detections[:_MAX_PAIRS], truths[:_MAX_PAIRS]
    results = [
        ImageResult.from_tensors(detected[detected[:, 4] >= _CONFIDENCE], truth)
        for detected, truth in zip(detections, truths, strict=True)
    ]
    classes = [numbers.tolist() for result in results for numbers in (result.true_classes, result.classes)]
    entries = [*_legend_entries(names, classes), (Line2D([], [], color=INK, linestyle=_DASHES), "missed or false")]
    twice = [image for image in images for _ in range(2)]
    figure, tiles = _grid(twice, 2 if len(images) <= 3 else 4, entries, title=0.2)
    for left, right, image, result in zip(tiles[::2], tiles[1::2], images, results, strict=True):
        _show(left, image, "ground truth")
        _show(right, image, "detections")
        matched, in_crowd = match_detections(result, IOU)
        for index, (box, number) in enumerate(
            zip(result.true_boxes.tolist(), result.true_classes.tolist(), strict=True)
        ):
            is_found = index in matched or bool(result.crowd[index])
            _draw_box(left, box, number, _label(names, number), correct=is_found)
        # The most confident detections are drawn last, on top of the others.
        for index in reversed(range(len(result.boxes))):
            number = int(result.classes[index])
            label = f"{_label(names, number)} {result.confidences[index]:.2f}".replace(" 0.", " .").strip()
            is_right = bool(matched[index] != UNMATCHED or in_crowd[index])
            _draw_box(right, result.boxes[index].tolist(), number, label, correct=is_right)
    save_figure(figure, path)


def _require_images(images: Sequence[NDArray[np.uint8]]) -> None:
    if not len(images):
        raise OptionError("`images` must contain at least one image, got none")


def _legend_entries(names: Sequence[str], classes: Sequence[Sequence[int]]) -> list[LegendEntry]:
    """Return the legend entries of the classes that occur; empty if there are more classes than colors."""
    if len(names) > len(COLORS):
        return []
    present = sorted({number for numbers in classes for number in numbers})
    return [
        (Line2D([], [], color=class_color(number), linewidth=3), class_label(names[number], number))
        for number in present
    ]


def _grid(
    images: Sequence[NDArray[np.uint8]], columns: int, entries: Sequence[LegendEntry], title: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes for each image, space for a title above each row, and the legend at the top."""
    rows = math.ceil(len(images) / columns)
    width = _TILE * columns + _GAP * (columns + 1)
    in_line = max(1, int(width / _ENTRY))
    head = _LINE * math.ceil(len(entries) / in_line) + _GAP
    row = title + _TILE * float(np.mean([image.shape[0] / image.shape[1] for image in images]))
    height = head + (row + _GAP) * rows
    figure = new_figure(width, height, dots_per_inch=110)
    figure.set_layout_engine("none")
    tiles = []
    for index in range(len(images)):
        left = _GAP + (index % columns) * (_TILE + _GAP)
        bottom = height - head - (index // columns + 1) * (row + _GAP) + _GAP
        tiles.append(figure.add_axes((left / width, bottom / height, _TILE / width, (row - title) / height)))
    if entries:
        handles, labels = zip(*entries, strict=True)
        figure.legend(handles, labels, loc="upper center", ncols=in_line, fontsize=10, frameon=False, borderaxespad=0.2)
    return figure, tiles


def _show(axes: Axes, image: NDArray[np.uint8], title: str = "") -> None:
    axes.imshow(image)
    axes.set_axis_off()
    axes.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0))
    axes.set_title(title, fontsize=9, color=INK, pad=2)


def _label(names: Sequence[str], number: int) -> str:
    """Return the class name to write at a box; empty if the color identifies the class."""
    return "" if len(names) <= len(COLORS) else class_label(names[number], number, length=16)


def _draw_box(axes: Axes, box: Sequence[float], number: int, label: str, *, correct: bool) -> None:
    x1, y1, x2, y2 = box
    color = class_color(number)
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.4)
    patch.set_linestyle("-" if correct else _DASHES)
    patch.set_path_effects([withStroke(linewidth=2.6, foreground=contrasting_color(color), alpha=0.7)])
    axes.add_patch(patch)
    if label:
        # Above the box, or inside it at the upper edge of the image.
        edge = "bottom" if y1 > 0.05 * axes.get_ylim()[0] else "top"
        position = min(max(x1, 0), axes.get_xlim()[1]), max(y1, 0)
        text = axes.text(*position, label, fontsize=6, color=contrasting_color(color), va=edge, clip_on=True)
        text.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 0.6})
