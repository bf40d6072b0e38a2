"""Images with boxes: what the network is shown, and what it makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

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
from attendet.utils.plotting import COLORS, INK, class_color, contrasting_color, label_text, new_figure, save_figure

MOST_IMAGES = 16
MOST_PAIRS = 8
# In inches.
TILE, GAP, LINE, ENTRY = 3.2, 0.06, 0.28, 2.4
DASHES = (0, (2.5, 1.5))

Entry = tuple[Line2D, str]
CONFIDENCE = 0.25


def training_batch_grid(
    images: Sequence[NDArray[np.uint8]], truths: Sequence[GroundTruth], names: Sequence[str], path: Path
) -> None:
    """Draw up to 16 training images in a grid, with the boxes that the network is to find.

    Args:
        images: Each (height, width, 3) RGB.
        truths: Their objects, in pixels of these images.
        names: The classes' names, by number.
        path: Where the picture goes.

    Raises:
        OptionError: If there is no image.
        OutputError: If the picture cannot be written.
    """
    _refuse_nothing(images)
    images, truths = images[:MOST_IMAGES], truths[:MOST_IMAGES]
    entries = _entries(names, [truth.classes.tolist() for truth in truths])
    figure, tiles = _grid(images, math.ceil(math.sqrt(len(images))), entries)
    for axes, image, truth in zip(tiles, images, truths, strict=True):
        _show(axes, image)
        for box, number in zip(truth.boxes.tolist(), truth.classes.tolist(), strict=True):
            _outline(axes, box, number, _label(names, number), certain=True)
    save_figure(figure, path)


def prediction_grid(
    images: Sequence[NDArray[np.uint8]],
    detections: Sequence[Tensor],
    truths: Sequence[GroundTruth],
    names: Sequence[str],
    path: Path,
) -> None:
    """Draw up to 8 validation images twice: with their objects, and with what was detected, from confidence 0.25 on.

    Dashed are objects that nothing found, and detections of nothing (at IoU 0.5, of the same class).

    Args:
        images: Each (height, width, 3) RGB.
        detections: By image (k, 6): x1, y1, x2, y2 in pixels of these images, confidence in 0-1, class.
        truths: Their objects.
        names: The classes' names, by number.
        path: Where the picture goes.

    Raises:
        OptionError: If there is no image.
        OutputError: If the picture cannot be written.
    """
    _refuse_nothing(images)
    images, detections, truths = images[:MOST_PAIRS], detections[:MOST_PAIRS], truths[:MOST_PAIRS]
    samples = [
        ImageResult.from_tensors(found[found[:, 4] >= CONFIDENCE], truth)
        for found, truth in zip(detections, truths, strict=True)
    ]
    classes = [numbers.tolist() for sample in samples for numbers in (sample.true_classes, sample.classes)]
    entries = [*_entries(names, classes), (Line2D([], [], color=INK, linestyle=DASHES), "missed, or nothing there")]
    twice = [image for image in images for _ in range(2)]
    figure, tiles = _grid(twice, 2 if len(images) <= 3 else 4, entries, title=0.2)
    for left, right, image, sample in zip(tiles[::2], tiles[1::2], images, samples, strict=True):
        _show(left, image, "truth")
        _show(right, image, "detected")
        matched, in_crowd = match_detections(sample, IOU)
        for place, (box, number) in enumerate(
            zip(sample.true_boxes.tolist(), sample.true_classes.tolist(), strict=True)
        ):
            is_found = place in matched or bool(sample.crowd[place])
            _outline(left, box, number, _label(names, number), certain=is_found)
        # The most confident come last, and so on top.
        for place in reversed(range(len(sample.boxes))):
            number = int(sample.classes[place])
            label = f"{_label(names, number)} {sample.confidences[place]:.2f}".replace(" 0.", " .").strip()
            is_right = bool(matched[place] != UNMATCHED or in_crowd[place])
            _outline(right, sample.boxes[place].tolist(), number, label, certain=is_right)
    save_figure(figure, path)


def _refuse_nothing(images: Sequence[NDArray[np.uint8]]) -> None:
    if not len(images):
        raise OptionError("there is no image to draw", remedy="give at least one")


def _entries(names: Sequence[str], classes: Sequence[Sequence[int]]) -> list[Entry]:
    """Return a legend of the classes that occur, while each has a color of its own."""
    if len(names) > len(COLORS):
        return []
    present = sorted({number for numbers in classes for number in numbers})
    return [(Line2D([], [], color=class_color(number), linewidth=3), label_text(names[number])) for number in present]


def _grid(
    images: Sequence[NDArray[np.uint8]], columns: int, entries: Sequence[Entry], title: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a tile for each image, room for a title of each row, and the legend above all."""
    rows = math.ceil(len(images) / columns)
    width = TILE * columns + GAP * (columns + 1)
    in_line = max(1, int(width / ENTRY))
    head = LINE * math.ceil(len(entries) / in_line) + GAP
    row = title + TILE * float(np.mean([image.shape[0] / image.shape[1] for image in images]))
    height = head + (row + GAP) * rows
    figure = new_figure(width, height, dots_per_inch=110)
    figure.set_layout_engine("none")
    tiles = []
    for place in range(len(images)):
        left = GAP + (place % columns) * (TILE + GAP)
        bottom = height - head - (place // columns + 1) * (row + GAP) + GAP
        tiles.append(figure.add_axes((left / width, bottom / height, TILE / width, (row - title) / height)))
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
    """Return the name to write at a box: none while the color tells the class."""
    return "" if len(names) <= len(COLORS) else label_text(names[number], length=16)


def _outline(axes: Axes, box: Sequence[float], number: int, label: str, *, certain: bool) -> None:
    x1, y1, x2, y2 = box
    color = class_color(number)
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.4)
    patch.set_linestyle("-" if certain else DASHES)
    patch.set_path_effects([withStroke(linewidth=2.6, foreground=contrasting_color(color), alpha=0.7)])
    axes.add_patch(patch)
    if label:
        # Above the box, or in it where there is no room.
        edge = "bottom" if y1 > 0.05 * axes.get_ylim()[0] else "top"
        place = min(max(x1, 0), axes.get_xlim()[1]), max(y1, 0)
        text = axes.text(*place, label, fontsize=6, color=contrasting_color(color), va=edge, clip_on=True)
        text.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 0.6})
