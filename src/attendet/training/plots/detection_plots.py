"""Draw the metrics of detections: precision over recall, F1 over confidence, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from attendet.evaluation.confusion import CONFIDENCE, IOU
from attendet.evaluation.metrics import ClassMetrics, Metrics
from attendet.utils.plotting import (
    COLORS,
    FAINT,
    INK,
    class_color,
    class_label,
    highlighted_classes,
    new_figure,
    save_figure,
    style_axes,
)

_MAX_CLASSES_WITH_COUNTS = 15
_NOTE = "orange: false detections per object of the class"


def precision_recall_curve(metrics: Metrics, path: Path) -> None:
    """Draw COCO's precision at IoU 0.5 over recall, for each class and their mean.

    Args:
        metrics: The metrics of a validation.
        path: The file to write.

    Raises:
        OutputError: If the file cannot be written.
    """
    figure = new_figure(7.4, 5)
    axes = figure.add_subplot()
    style_axes(axes, "precision over recall at IoU 0.5", "recall", "precision")
    curves = metrics.curves
    values = [each.ap50 for each in metrics.per_class]
    _draw(axes, curves.recalls, curves.precision_at_recall, metrics.per_class, values, metrics.map50, "AP50")
    save_figure(figure, path)


def f1_curve(metrics: Metrics, path: Path) -> None:
    """Draw F1 at IoU 0.5 over the confidence threshold, for each class and their mean, and mark the best threshold.

    Args:
        metrics: The metrics of a validation.
        path: The file to write.

    Raises:
        OutputError: If the file cannot be written.
    """
    figure = new_figure(7.4, 5)
    axes = figure.add_subplot()
    style_axes(axes, "F1 over the confidence threshold, at IoU 0.5", "confidence threshold", "F1")
    curves = metrics.curves
    at_best = "F1" if metrics.confidence is None else f"F1 at confidence {metrics.confidence:.3f}"
    values = [each.f1 for each in metrics.per_class]
    _draw(axes, curves.confidences, curves.f1, metrics.per_class, values, metrics.f1, at_best)
    if metrics.confidence is not None:
        axes.plot([metrics.confidence] * 2, [0, metrics.f1], color=INK, linewidth=1, linestyle=":")
        axes.plot(metrics.confidence, metrics.f1, "o", color=INK, markersize=7)
    save_figure(figure, path)


def draw_confusion_matrix(metrics: Metrics, path: Path) -> None:
    """Draw the confusion matrix: for each true class, the fractions of its objects that were detected as each class.

    For up to 15 classes, the counts are written into the cells. The orange row contains false detections, relative to
    the number of objects of the detected class.

    Args:
        metrics: The metrics of a validation.
        path: The file to write.

    Raises:
        OutputError: If the file cannot be written.
    """
    counts = metrics.confusion
    classes = len(counts) - 1
    side = min(max(4.4, 2 + 0.7 * classes), 15)
    figure = new_figure(side + 1.1, side)
    axes = figure.add_subplot()
    style_axes(
        axes, f"confusion matrix at confidence {CONFIDENCE} and IoU {IOU}", f"detected as\n{_NOTE}", "true class"
    )
    axes.grid(visible=False)

    objects = np.maximum(counts[:classes].sum(axis=1), 1)
    fractions = np.full(counts.shape, np.nan)
    fractions[:classes] = counts[:classes] / objects[:, None]
    false = np.full(counts.shape, np.nan)
    false[classes, :classes] = counts[classes, :classes] / objects
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axes.imshow(false, cmap="Oranges", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("fraction of the objects of the class", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    bar.outline.set_visible(False)

    names = [class_label(each.name, number) for number, each in enumerate(metrics.per_class)]
    font = min(9.0, 0.6 * side * 72 / (classes + 1))
    axes.set_xticks(range(classes + 1), [*names, "missed"], fontsize=font, rotation=90 if classes > 3 else 0)
    axes.set_yticks(range(classes + 1), [*names, "nothing"], fontsize=font)
    axes.axhline(classes - 0.5, color="white", linewidth=4)
    axes.axvline(classes - 0.5, color="white", linewidth=4)
    if classes <= _MAX_CLASSES_WITH_COUNTS:
        _write_counts(axes, counts, np.where(np.isnan(fractions), false, fractions))
    save_figure(figure, path)


def _write_counts(axes: Axes, counts: NDArray[np.int64], shades: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            fraction = f"\n{shades[row, column]:.0%}" if row < len(counts) - 1 else ""
            color = "white" if shades[row, column] > 0.55 else INK
            axes.text(column, row, f"{count}{fraction}", color=color, fontsize=9, ha="center", va="center")


def _draw(
    axes: Axes,
    x: NDArray[np.float64],
    curves: NDArray[np.float64],
    classes: Sequence[ClassMetrics],
    values: Sequence[float | None],
    mean: float,
    title: str,
) -> None:
    """Draw the curve of each class and, if several classes have objects, their mean; the legend contains the values.

    If there are more classes than colors, only the three worst classes are colored.
    """
    colored = highlighted_classes(values)
    for number, value in enumerate(values):
        if value is not None and number not in colored:
            axes.plot(x, curves[number], color=FAINT, linewidth=0.6, alpha=0.6)
    labels = []
    lines = []
    for index, number in enumerate(colored):
        color = class_color(number if len(classes) <= len(COLORS) else index)
        lines += axes.plot(x, curves[number], color=color, linewidth=1.5)
        labels.append(f"{class_label(classes[number].name, number)}  {values[number]:.3f}")
    present = ~np.isnan(curves).any(axis=1)
    if present.sum() > 1:
        lines += axes.plot(x, curves[present].mean(axis=0), color=INK, linewidth=2.6)
        labels.append(f"all classes  {mean:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    if not lines:
        axes.text(0.5, 0.5, "no objects", fontsize=11, color=INK, ha="center")
        return
    # The lines are passed explicitly, because matplotlib hides labels that start with an underscore.
    legend = axes.figure.legend(lines, labels, loc="outside right upper", fontsize=9, title=title, frameon=False)
    legend.set_alignment("left")
    legend.get_title().set_fontsize(9)
