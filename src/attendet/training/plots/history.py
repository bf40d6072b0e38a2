"""Draw losses, precision, recall, average precision, and learning rates over the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from attendet.errors import OptionError
from attendet.evaluation.results_columns import loss_parts
from attendet.utils.plotting import COLORS, new_figure, save_figure, style_axes

# For each panel, its title, and the labels of its columns of results.csv.
_PANELS: dict[str, dict[str, str]] = {
    "average precision": {"metrics/mAP_0.5": "mAP50", "metrics/mAP_0.5:0.95": "mAP50-95"},
    "at the best confidence": {"metrics/precision": "precision", "metrics/recall": "recall"},
    "learning rate": {"x/lr0": "group 0", "x/lr1": "group 1", "x/lr2": "group 2"},
}
# The parts of the loss that have a longer name.
_LOSS_TITLES = {"obj": "objectness loss", "cls": "class loss", "dfl": "distribution loss"}
# Different dashes keep lines visible that coincide, such as learning rates.
_LINE_STYLES = tuple(zip(COLORS, ("-", (0, (4, 1.5)), (0, (1, 1.5))), strict=False))


def training_curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw the columns of `results.csv` over the epochs; columns that are missing or empty are left out.

    Args:
        rows: One row per epoch, with YOLOv5's names of the columns: `epoch`, `train/box_loss`, `metrics/mAP_0.5`, ….
        path: The file to write.

    Raises:
        OptionError: If no row has a column to draw.
        OutputError: If the file cannot be written.
    """
    epochs = [row["epoch"] for row in rows]
    panels = {}
    for title, columns in (_loss_panels(rows) | _PANELS).items():
        lines = {name: [row.get(column, np.nan) for row in rows] for column, name in columns.items()}
        drawn = {name: values for name, values in lines.items() if np.isfinite(values).any()}
        if drawn:
            panels[title] = drawn
    if not panels:
        raise OptionError(
            "`rows` must contain at least one epoch with losses or metrics", remedy="pass the rows of results.csv"
        )
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = new_figure(4.4 * columns, 3.3 * lines)
    for number, (title, drawn) in enumerate(panels.items(), start=1):
        _panel(figure.add_subplot(lines, columns, number), title, epochs, drawn)
    save_figure(figure, path)


def _loss_panels(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, str]]:
    """Return a panel for each part of the loss."""
    parts = dict.fromkeys(part for row in rows for part in loss_parts(row, "train"))
    return {
        _LOSS_TITLES.get(part, f"{part} loss"): {
            f"train/{part}_loss": "training",
            f"val/{part}_loss": "validation",
        }
        for part in parts
    }


def _panel(axes: Axes, title: str, epochs: Sequence[float], lines: Mapping[str, Sequence[float]]) -> None:
    style_axes(axes, title, "epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins="auto"))
    marker = "o" if len(epochs) <= 30 else ""
    for (color, dashes), (name, values) in zip(_LINE_STYLES, lines.items(), strict=False):
        best = f", best {np.nanmax(values):.3f}" if name.startswith("mAP") else ""
        axes.plot(
            epochs,
            values,
            color=color,
            linestyle=dashes,
            linewidth=1.8,
            marker=marker,
            markersize=3,
            label=name + best,
        )
    if title in ("average precision", "at the best confidence"):
        axes.set_ylim(0, 1)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
    axes.legend(fontsize=9, frameon=False)
