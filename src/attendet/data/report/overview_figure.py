"""A data set in one picture: classes, box sizes, objects per image, and where objects lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from attendet.data.records import Split, scaled_box_sides
from attendet.errors import Location, OutputError
from attendet.utils.io import write_atomically
from attendet.utils.plotting import class_color, label_text, new_figure

SIGNATURE = "attendet data check"
MOST_CLASSES = 20
STRIDES = (8, 16, 32)
COLOR_MAP = "viridis"


def refuse_foreign(path: Path) -> None:
    """Allow a path that is free, or has a picture that this module drew.

    Raises:
        OutputError: If something else is there.
    """
    if not path.exists() and not path.is_symlink():
        return
    remedy = "name another with --picture"
    if path.is_dir():
        raise OutputError("it is a folder", where=Location(str(path)), remedy=remedy)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            ours = image.info.get("Software") == SIGNATURE
    except Exception:  # noqa: BLE001  # whatever Pillow says of it: it is no picture of ours
        ours = False
    if not ours:
        raise OutputError("it exists, and was not drawn by attendet", where=Location(str(path)), remedy=remedy)


def draw_overview(splits: Sequence[Split], path: Path, *, title: str, imgsz: int = 640) -> None:
    """Draw a data set and write it as PNG.

    Args:
        splits: Its splits as read, at least one, of the same classes.
        path: The file to write; an older picture of this kind is replaced.
        title: What stands above.
        imgsz: The training size: images are scaled so that their longer side has so many pixels.

    Raises:
        OutputError: If something that is no such picture is there, or it cannot be written.
    """
    refuse_foreign(path)
    drawn = overview_figure(splits, title=title, imgsz=imgsz)
    with write_atomically(path) as temporary:
        drawn.savefig(temporary, format="png", metadata={"Software": SIGNATURE})


def overview_figure(splits: Sequence[Split], *, title: str, imgsz: int = 640) -> Figure:
    """Return the picture of a data set; arguments as of `draw_overview`."""
    drawn = new_figure(13, 10, dots_per_inch=110)
    images = sum(len(split.records) for split in splits)
    boxes = sum(len(split.records.classes) for split in splits)
    told = f"{_written(title, 'data set', 80)}: {images:,} images, {boxes:,} boxes"
    drawn.suptitle(told, fontsize=15)
    panels = drawn.subplots(2, 2)
    _classes(panels[0, 0], splits)
    _sizes(panels[0, 1], splits, imgsz)
    _per_image(panels[1, 0], splits)
    _centers(panels[1, 1], splits)
    return drawn


def _classes(axes: Axes, splits: Sequence[Split]) -> None:
    names = splits[0].names
    counts = np.stack([np.bincount(split.records.classes, minlength=len(names)) for split in splits])
    labels = np.argsort(-counts.sum(axis=0), kind="stable")[:MOST_CLASSES]
    height = 0.8 / len(splits)
    for row, split in enumerate(splits):
        places = np.arange(len(labels)) + (row - (len(splits) - 1) / 2) * height
        bars = axes.barh(places, counts[row, labels], height, color=class_color(row), label=split.name)
        if len(labels) * len(splits) <= MOST_CLASSES:
            axes.bar_label(bars, labels=[f"{count:,}" for count in counts[row, labels]], padding=3, fontsize=9)
    axes.set_yticks(np.arange(len(labels)), [_written(names[label], f"class {label}") for label in labels])
    # Room as for three at least: the one bar of one class would fill the panel.
    room = max(3, len(labels)) / 2
    middle = (len(labels) - 1) / 2
    axes.set_ylim(middle + room, middle - room)
    axes.set_xlim(0, max(1, counts.max()) * 1.12)
    axes.xaxis.set_major_formatter(FuncFormatter(_whole))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("boxes")
    few = len(names) <= MOST_CLASSES
    axes.set_title("Class balance" if few else f"Class balance, the {MOST_CLASSES} most frequent of {len(names)}")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)


def _sizes(axes: Axes, splits: Sequence[Split], imgsz: int) -> None:
    sides = np.concatenate([scaled_box_sides(split.records, imgsz) for split in splits])
    axes.set_title(f"Box sizes at {imgsz} px")
    axes.set(xscale="log", yscale="log", xlim=(1, imgsz), ylim=(1, imgsz))
    axes.set_xlabel("width, pixels")
    axes.set_ylabel("height, pixels")
    axes.set_aspect("equal")
    if len(sides):
        # What is narrower than a pixel is shown at one.
        edges = np.geomspace(1, imgsz, 60)
        counts, _, _ = np.histogram2d(*np.clip(sides, 1, imgsz).T, bins=(edges, edges))
        norm = LogNorm(1, max(2, counts.max()))
        mesh = axes.pcolormesh(edges, edges, np.where(counts.T > 0, counts.T, np.nan), norm=norm, cmap=COLOR_MAP)
        axes.figure.colorbar(mesh, ax=axes, label="boxes", shrink=0.85, format=FuncFormatter(_whole))
    for stride in STRIDES:
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


def _per_image(axes: Axes, splits: Sequence[Split]) -> None:
    counts = [np.bincount(split.records.image_indices(), minlength=len(split.records)) for split in splits]
    most = max((int(count.max(initial=0)) for count in counts), default=0)
    # At most forty bars, of whole numbers each.
    width = max(1, -(-(most + 1) // 40))
    edges = np.arange(0, most + 1 + width, width) - 0.5
    for row, (split, count) in enumerate(zip(splits, counts, strict=True)):
        if len(count):
            shares = np.histogram(count, edges)[0] / len(count) * 100
            label = f"{split.name}, median {np.median(count):g}"
            axes.stairs(shares, edges, color=class_color(row), label=label, linewidth=1.8, linestyle=_line(row))
    axes.set_title("Boxes per image")
    axes.set_xlabel("boxes in an image" + (f" (bars of {width})" if width > 1 else ""))
    axes.set_ylabel("% of the split's images")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set_xlim(-0.5, edges[-1])
    axes.set_ylim(0)
    if any(len(count) for count in counts):
        axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _centers(axes: Axes, splits: Sequence[Split]) -> None:
    places = [
        (split.records.boxes[:, :2] + split.records.boxes[:, 2:])
        / 2
        / np.maximum(split.records.sizes, 1)[split.records.image_indices()]
        for split in splits
    ]
    x, y = np.clip(np.concatenate(places), 0, 1).T
    axes.set_title("Where box centers lie")
    axes.set_xlabel("from the left, share of the image's width")
    axes.set_ylabel("from the top, share of its height")
    if len(x):
        # As fine as there are boxes for: few boxes in many cells would show noise.
        bins = int(np.clip(np.sqrt(len(x) / 12), 6, 48))
        counts, _, _ = np.histogram2d(y, x, bins=bins, range=((0, 1), (0, 1)))
        drawn = axes.imshow(counts, extent=(0, 1, 1, 0), cmap=COLOR_MAP, interpolation="nearest", vmin=0)
        axes.figure.colorbar(drawn, ax=axes, label="boxes", shrink=0.85)
    axes.set(xlim=(0, 1), ylim=(1, 0))


def _line(row: int) -> str:
    # Two splits of the same images would hide one another.
    return ("-", "--", ":")[row % 3]


def _whole(value: float, _: int) -> str:
    return f"{value:,.0f}"


def _written(name: str, instead: str, longest: int = 24) -> str:
    """Return a name short enough, or something else where the font has no such letters."""
    letters = get_font(findfont(FontProperties())).get_charmap()
    return label_text(name, longest) if all(ord(letter) in letters for letter in name) else instead
