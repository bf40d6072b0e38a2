"""What all pictures have in common: colors, fonts, legends and how they are saved."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from attendet.utils.io import write_atomically
from attendet.utils.text import shorten

# Okabe and Ito, "Color Universal Design" (2008): safe for the color-blind. Yellow, faint on white, is last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
INK = "#222222"
FAINT = "#9A9A9A"
GRID = "#E4E4E4"


def color_of(number: int) -> str:
    """Return a class's color, the same in every picture; beyond seven classes colors repeat.

    Example:
        >>> color_of(0) == color_of(len(COLORS))
        True
    """
    return COLORS[number % len(COLORS)]


def contrast_to(color: str) -> str:
    """Return what is legible on a color: white on dark ones, ink on light ones."""
    red, green, blue = to_rgb(color)
    return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.6 else INK


def shown(name: str, longest: int = 24) -> str:
    r"""Return a class's name as matplotlib has to be given it: in one short line, without formulas.

    Example:
        >>> shown("a very long name of a class of things"), shown("US$ and A$")
        ('a very long name of a c…', 'US\\$ and A\\$')
    """
    return shorten(" ".join(name.split()), longest).replace("$", r"\$")


def new_figure(width: float, height: float, dots_per_inch: int = 120) -> Figure:
    """Return an empty figure of so many inches, which belongs to no window and to no global state."""
    return Figure(figsize=(width, height), dpi=dots_per_inch, layout="constrained", facecolor="white")


def style_axes(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """Give axes their title and labels, and take away all lines that say nothing."""
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=10, color=INK)
    axes.set_ylabel(y, fontsize=10, color=INK)
    axes.tick_params(which="both", labelsize=9, colors=INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, in the format that the path ends with; `.svg` keeps lines and letters sharp.

    Raises:
        OutputError: If the file cannot be written.
    """
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # Names in scripts that the font lacks are shown as boxes; one warning per letter helps nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        if path.suffix == ".svg":
            with write_atomically(path) as temporary:
                # Without the date equal figures are equal files.
                figure.savefig(temporary, format="svg", metadata={"Date": None})
            return
        # Figure.savefig would draw everything twice.
        canvas.draw()
    with write_atomically(path) as temporary:
        Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(temporary)


def standing_out(values: Sequence[float | None]) -> list[int]:
    """Return which classes a chart shows in color: all while there are colors, else the three of least value.

    Args:
        values: By class, None for those that the chart leaves out.

    Example:
        >>> standing_out([0.5, None, 0.3])
        [0, 2]
        >>> standing_out([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, None, 0.95, 0.99])
        [5, 4, 3]
    """
    present = [number for number, value in enumerate(values) if value is not None]
    if len(values) <= len(COLORS):
        return present
    return sorted(present, key=lambda number: values[number] or 0.0)[:3]
