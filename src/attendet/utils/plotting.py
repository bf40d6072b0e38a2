"""Colors, fonts, labels, and saving, the same for all figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from PIL import Image

from attendet.utils.fonts import DEFAULT_FONT, drawable_text, font_runs, is_drawable
from attendet.utils.io import write_atomically
from attendet.utils.text import shorten

# Okabe and Ito, "Color Universal Design" (2008): distinguishable for the color-blind. Yellow, faint on white, is last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
INK = "#222222"
FAINT = "#9A9A9A"
GRID = "#E4E4E4"


def class_color(number: int) -> str:
    """Return the color of a class, the same in every figure; after seven classes the colors repeat.

    Args:
        number: Index of the class, from 0.

    Example:
        >>> class_color(0) == class_color(len(COLORS))
        True
    """
    return COLORS[number % len(COLORS)]


def contrasting_color(color: str) -> str:
    """Return the color of text that is legible on a background: white if the background is dark, otherwise ink.

    Example:
        >>> contrasting_color("#000080"), contrasting_color("#F0E442")
        ('white', '#222222')
    """
    red, green, blue = to_rgb(color)
    return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.6 else INK


def label_text(name: str, length: int = 24) -> str:
    r"""Return a text as a label for matplotlib: on one line, shortened, and with dollar signs escaped.

    Args:
        name: Any text, such as a path; matplotlib would read text between dollar signs as a formula. Letters that no
            font has become question marks.
        length: Maximum number of characters.

    Example:
        >>> label_text("a very long name of a class of things"), label_text("US$ and A$")
        ('a very long name of a c…', 'US\\$ and A\\$')
    """
    return drawable_text(shorten(" ".join(name.split()), length)).replace("$", r"\$")


def class_label(name: str, number: int, length: int = 24) -> str:
    """Return the name of a class as a label for matplotlib; `class 0` if no font has its letters.

    Args:
        name: Name of the class.
        number: Index of the class.
        length: Maximum number of characters.

    Example:
        >>> class_label("cat", 0), class_label("\U000e4e10", 1)
        ('cat', 'class 1')
    """
    one_line = " ".join(name.split())
    return label_text(one_line if is_drawable(one_line) else f"class {number}", length)


def complete_fonts(figure: Figure) -> None:
    """Let the texts of a figure fall back to the fonts of the system that have their letters; call it before drawing.

    Args:
        figure: The figure, with all of its texts.
    """
    for axes in figure.axes:
        # The texts of ticks are set when they are asked for.
        axes.get_xticklabels()
        axes.get_yticklabels()
    for text in figure.findobj(Text):
        content = text.get_text() if isinstance(text, Text) else ""
        families = [_registered_family(font) for font, _ in font_runs(content) if font != DEFAULT_FONT]
        if isinstance(text, Text) and families:
            text.set_fontfamily(["DejaVu Sans", *families])


def _registered_family(font: str) -> str:
    """Return the name of a font's family, by which matplotlib finds it after this call."""
    known = {entry.fname: entry.name for entry in fontManager.ttflist}
    if font not in known:
        fontManager.addfont(font)
        known = {entry.fname: entry.name for entry in fontManager.ttflist}
    return known[font]


def new_figure(width: float, height: float, dots_per_inch: int = 120) -> Figure:
    """Return an empty figure that belongs to no window and to no global state of matplotlib.

    Args:
        width: Width in inches.
        height: Height in inches.
        dots_per_inch: Resolution.

    Example:
        >>> new_figure(6, 4).get_size_inches().tolist()
        [6.0, 4.0]
    """
    return Figure(figsize=(width, height), dpi=dots_per_inch, layout="constrained", facecolor="white")


def style_axes(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """Set the title and the labels of axes, and remove lines that carry no information.

    Args:
        axes: The axes.
        title: Title, above the axes.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
    """
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=10, color=INK)
    axes.set_ylabel(y, fontsize=10, color=INK)
    axes.tick_params(which="both", labelsize=9, colors=INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format of the suffix; `.svg` is written as vector graphics.

    Args:
        figure: The figure.
        path: The file.

    Raises:
        OutputError: If the file cannot be written.
    """
    canvas = FigureCanvasAgg(figure)
    complete_fonts(figure)
    if path.suffix == ".svg":
        with write_atomically(path) as temporary:
            # Without the date, equal figures are equal files.
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        return
    # Figure.savefig would draw everything twice.
    canvas.draw()
    with write_atomically(path) as temporary:
        Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(temporary)


def highlighted_classes(values: Sequence[float | None]) -> list[int]:
    """Return the classes that a chart draws in color: all if there are enough colors, otherwise the three lowest.

    Args:
        values: The value of each class, such as its average precision; None for a class that is not drawn.

    Returns:
        Indices of classes, in their own order if all are highlighted, otherwise by increasing value.

    Example:
        >>> highlighted_classes([0.5, None, 0.3])
        [0, 2]
        >>> highlighted_classes([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, None, 0.95, 0.99])
        [5, 4, 3]
    """
    present = [number for number, value in enumerate(values) if value is not None]
    if len(values) <= len(COLORS):
        return present
    return sorted(present, key=lambda number: values[number] or 0.0)[:3]
