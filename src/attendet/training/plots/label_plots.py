"""Draw statistics of the labels of a data set, at the image size of the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from attendet.data.box_sides import scaled_box_sides
from attendet.data.records import ImageRecords
from attendet.errors import OptionError
from attendet.utils.plotting import COLORS, INK, class_label, new_figure, save_figure, style_axes

# Without the palest blues, which look white.
_SHADES = ListedColormap(colormaps["Blues"](np.linspace(0.2, 1, 256)))
_MAX_CLASSES_WITH_COUNTS = 15


def label_statistics(records: ImageRecords, names: Sequence[str], imgsz: int, path: Path) -> None:
    """Draw the number of objects of each class, the sizes of their boxes in training, and their positions.

    The shortest 2 % of all sides are raised to the next longer side.

    Args:
        records: The images and their objects.
        names: Class names in the order of their indices.
        imgsz: Longer side of the images in training, in pixels.
        path: The file to write.

    Raises:
        OptionError: If there are no objects.
        OutputError: If the file cannot be written.
    """
    if not len(records.boxes):
        raise OptionError("`records` must contain at least one object, got none")
    centers = (records.boxes[:, :2] + records.boxes[:, 2:]) / 2 / records.sizes[records.image_indices()]
    scaled = scaled_box_sides(records, imgsz)
    # Very thin boxes and boxes without area would compress all others into a corner.
    scaled = np.maximum(scaled, max(np.quantile(scaled, 0.02), 0.5))
    aspect = scaled[:, 0] / scaled[:, 1]
    side = np.sqrt(scaled.prod(axis=1))

    figure = new_figure(12.5, 7.6)
    grid = figure.add_gridspec(2, 3)
    # Many names need the full height of the figure.
    many = len(names) > _MAX_CLASSES_WITH_COUNTS
    axes = figure.add_subplot(grid[:, 0] if many else grid[0, 0])
    style_axes(axes, f"{len(records.boxes):,} objects in {len(records):,} images", "objects")
    _class_counts(axes, np.bincount(records.classes, minlength=len(names)), names)
    if not many:
        axes = figure.add_subplot(grid[1, 0])
        per_image = np.bincount(records.image_indices(), minlength=len(records))
        style_axes(axes, f"objects per image, median {np.median(per_image):.0f}", "objects", "images")
        axes.hist(per_image, bins=min(per_image.max() + 1, 40), range=(-0.5, per_image.max() + 0.5), color=COLORS[0])

    axes = figure.add_subplot(grid[0, 1])
    style_axes(axes, f"box sizes at {imgsz} px", "width in pixels", "height in pixels")
    limits = scaled.min() / 1.2, scaled.max() * 1.2
    edges = np.geomspace(*limits, 50)
    axes.hist2d(scaled[:, 0], scaled[:, 1], bins=[edges, edges], cmap=_SHADES, cmin=1)
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    _plain_numbers(axes.xaxis, axes.yaxis)

    axes = figure.add_subplot(grid[0, 2])
    style_axes(axes, "centers in the image", "x / width", "y / height")
    axes.hist2d(centers[:, 0], centers[:, 1], bins=25, range=[[0, 1], [0, 1]], cmap=_SHADES, cmin=1)
    axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")

    for cell, values, title, x in (
        (
            grid[1, 1],
            side,
            f"box sides at {imgsz} px, median {np.median(side):.0f}",
            "√(width · height) in pixels",
        ),
        (grid[1, 2], aspect, f"aspect, median {np.median(aspect):.2f}", "width / height"),
    ):
        axes = figure.add_subplot(cell)
        style_axes(axes, title, x, "objects")
        axes.hist(values, bins=np.geomspace(values.min() / 1.05, values.max() * 1.05, 40), color=COLORS[0])
        axes.set_xscale("log")
        _plain_numbers(axes.xaxis)
    save_figure(figure, path)


def _class_counts(axes: Axes, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    bars = axes.barh(range(len(counts)), counts, color=COLORS[0], height=0.7)
    if len(counts) <= _MAX_CLASSES_WITH_COUNTS:
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=9, color=INK, padding=3)
        axes.margins(x=0.15)
    labels = [class_label(name, number) for number, name in enumerate(names)]
    axes.set_yticks(range(len(counts)), labels, fontsize=min(9.0, 440 / len(counts)))
    axes.set_ylim(max(len(counts), 4) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _plain_numbers(*axes: Axis) -> None:
    """Label logarithmic axes with 1, 2, 5, 10, …, or only with powers of ten if the range is large."""
    for axis in axes:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 500 else (1,)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_locator(NullLocator())
