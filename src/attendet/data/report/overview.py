"""A figure of a data set: class balance, box sizes, boxes per image, and positions of box centers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from attendet.data.box_sides import scaled_box_sides
from attendet.data.records import Split
from attendet.errors import Location, OutputError
from attendet.utils.io import write_atomically
from attendet.utils.plotting import class_color, class_label, complete_fonts, label_text, new_figure

# Written into the file, to recognize figures that may be replaced.
_SIGNATURE = "attendet data check"

_MAX_CLASSES = 20
_MAX_BARS = 40
_STRIDES = (8, 16, 32)
_COLOR_MAP = "viridis"


def refuse_other_files(path: Path) -> None:
    """Raise an error if a file exists at a path, unless `draw_overview` wrote it.

    Raises:
        OutputError: If there is another file, or a folder.
    """
    if not path.exists() and not path.is_symlink():
        return
    remedy = "name another file with --picture"
    if path.is_dir():
        raise OutputError("the path is a folder", where=Location(str(path)), remedy=remedy)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            is_own = image.info.get("Software") == _SIGNATURE
    except Exception:  # noqa: BLE001 - a file that Pillow cannot read, for any reason, is not one of these figures
        is_own = False
    if not is_own:
        where = Location(str(path))
        raise OutputError("the file exists and was not drawn by attendet", where=where, remedy=remedy)


def draw_overview(splits: Sequence[Split], path: Path, *, title: str, imgsz: int = 640) -> None:
    """Draw a data set and write the figure as a PNG file.

    Args:
        splits: All splits of a data set, at least one, as read.
        path: The file to write. An older figure of this function is replaced, any other file is not.
        title: Text above the figure, such as the name of the data set.
        imgsz: Training size: box sizes are those after the longer side of an image is scaled to this many pixels.

    Raises:
        OutputError: If another file exists at the path, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> from attendet.data.records import ImageRecord, ImageRecords
        >>> record = ImageRecord(Path("a.jpg"), 64, 48, np.array([[0.0, 0, 9, 9]]), np.array([0]), np.array([False]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw_overview([Split("train", ("cat",), ImageRecords([record]))], Path(folder, "a.png"), title="cats")
        ...     with Image.open(Path(folder, "a.png")) as image:
        ...         image.size
        (1430, 1100)
    """
    refuse_other_files(path)
    figure = overview_figure(splits, title=title, imgsz=imgsz)
    complete_fonts(figure)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": _SIGNATURE})


def overview_figure(splits: Sequence[Split], *, title: str, imgsz: int = 640) -> Figure:
    """Return the figure that `draw_overview` writes, for the same arguments."""
    figure = new_figure(13, 10, dots_per_inch=110)
    images = sum(len(split.records) for split in splits)
    boxes = sum(len(split.records.classes) for split in splits)
    figure.suptitle(f"{label_text(title, 80)}: {images:,} images, {boxes:,} boxes", fontsize=15)
    panels = figure.subplots(2, 2)
    _draw_class_balance(panels[0, 0], splits)
    _draw_box_sizes(panels[0, 1], splits, imgsz)
    _draw_boxes_per_image(panels[1, 0], splits)
    _draw_centers(panels[1, 1], splits)
    return figure


def _draw_class_balance(axes: Axes, splits: Sequence[Split]) -> None:
    names = splits[0].names
    counts = np.stack([np.bincount(split.records.classes, minlength=len(names)) for split in splits])
    classes = np.argsort(-counts.sum(axis=0), kind="stable")[:_MAX_CLASSES]
    height = 0.8 / len(splits)
    for row, split in enumerate(splits):
        positions = np.arange(len(classes)) + (row - (len(splits) - 1) / 2) * height
        bars = axes.barh(positions, counts[row, classes], height, color=class_color(row), label=split.name)
        if len(classes) * len(splits) <= _MAX_CLASSES:
            axes.bar_label(bars, labels=[f"{count:,}" for count in counts[row, classes]], padding=3, fontsize=9)
    axes.set_yticks(np.arange(len(classes)), [class_label(names[index], index) for index in classes])
    # With space for fewer than three classes, the bar of a single class would fill the panel.
    half = max(3, len(classes)) / 2
    middle = (len(classes) - 1) / 2
    axes.set_ylim(middle + half, middle - half)
    axes.set_xlim(0, max(1, counts.max()) * 1.12)
    axes.xaxis.set_major_formatter(FuncFormatter(_integer))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("boxes")
    is_complete = len(names) <= _MAX_CLASSES
    axes.set_title(
        "Class balance" if is_complete else f"Class balance, the {_MAX_CLASSES} most frequent of {len(names)}"
    )
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_box_sizes(axes: Axes, splits: Sequence[Split], imgsz: int) -> None:
    sides = np.concatenate([scaled_box_sides(split.records, imgsz) for split in splits])
    axes.set_title(f"Box sizes at {imgsz} px")
    axes.set(xscale="log", yscale="log", xlim=(1, imgsz), ylim=(1, imgsz))
    axes.set_xlabel("width in pixels")
    axes.set_ylabel("height in pixels")
    axes.set_aspect("equal")
    if len(sides):
        # Boxes narrower than one pixel are drawn at one pixel.
        edges = np.geomspace(1, imgsz, 60)
        counts, _, _ = np.histogram2d(*np.clip(sides, 1, imgsz).T, bins=(edges, edges))
        norm = LogNorm(1, max(2, counts.max()))
        mesh = axes.pcolormesh(edges, edges, np.where(counts.T > 0, counts.T, np.nan), norm=norm, cmap=_COLOR_MAP)
        axes.figure.colorbar(mesh, ax=axes, label="boxes", shrink=0.85, format=FuncFormatter(_integer))
    for stride in _STRIDES:
        axes.axvline(stride, color="0.5", linestyle="--", linewidth=0.9)
        axes.axhline(stride, color="0.5", linestyle="--", linewidth=0.9)
        axes.annotate(
            f"stride {stride}",
            (stride, imgsz),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            rotation=90,
            fontsize=9,
            color="0.35",
        )
    ticks = [2**power for power in range(int(np.log2(imgsz)) + 1)]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [str(tick) for tick in ticks])
        axis.set_ticks([], minor=True)


def _draw_boxes_per_image(axes: Axes, splits: Sequence[Split]) -> None:
    counts = [np.bincount(split.records.image_indices(), minlength=len(split.records)) for split in splits]
    largest = max((int(count.max(initial=0)) for count in counts), default=0)
    width = max(1, -(-(largest + 1) // _MAX_BARS))
    edges = np.arange(0, largest + 1 + width, width) - 0.5
    for row, (split, count) in enumerate(zip(splits, counts, strict=True)):
        if len(count):
            percentages = np.histogram(count, edges)[0] / len(count) * 100
            label = f"{split.name}, median {np.median(count):g}"
            style = _line_style(row)
            axes.stairs(percentages, edges, color=class_color(row), label=label, linewidth=1.8, linestyle=style)
    axes.set_title("Boxes per image")
    axes.set_xlabel("boxes in an image" + (f" (bars of {width})" if width > 1 else ""))
    axes.set_ylabel("% of the images of a split")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set_xlim(-0.5, edges[-1])
    axes.set_ylim(0)
    if any(len(count) for count in counts):
        axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_centers(axes: Axes, splits: Sequence[Split]) -> None:
    centers = [
        (split.records.boxes[:, :2] + split.records.boxes[:, 2:])
        / 2
        / np.maximum(split.records.sizes, 1)[split.records.image_indices()]
        for split in splits
    ]
    x, y = np.clip(np.concatenate(centers), 0, 1).T
    axes.set_title("Positions of box centers")
    axes.set_xlabel("x, fraction of the image width")
    axes.set_ylabel("y from the top, fraction of the image height")
    if len(x):
        # Few boxes in many cells would show noise.
        bins = int(np.clip(np.sqrt(len(x) / 12), 6, 48))
        counts, _, _ = np.histogram2d(y, x, bins=bins, range=((0, 1), (0, 1)))
        image = axes.imshow(counts, extent=(0, 1, 1, 0), cmap=_COLOR_MAP, interpolation="nearest", vmin=0)
        axes.figure.colorbar(image, ax=axes, label="boxes", shrink=0.85)
    axes.set(xlim=(0, 1), ylim=(1, 0))


def _line_style(row: int) -> str:
    # Lines of splits with the same images would otherwise hide each other.
    return ("-", "--", ":")[row % 3]


def _integer(value: float, _: int) -> str:
    return f"{value:,.0f}"
