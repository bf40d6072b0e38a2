"""The picture of a benchmark: accuracy against latency, or latency alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from attendet.exporting.benchmarking.benchmark_rows import Benchmark
from attendet.exporting.benchmarking.latency import Durations
from attendet.exporting.benchmarking.variants import EAGER
from attendet.utils.plotting import COLORS, INK, label_text, new_figure, save_figure, style_axes

_MARKERS = "osD^vP"
# Differences below it are not drawn larger than they are.
_SMALLEST_RANGE = 0.1


def draw_benchmark(benchmark: Benchmark, path: Path) -> None:
    """Draw mAP50-95 over the median latency of each format; without mAP, bars of the latency. Lines are quartiles.

    Args:
        benchmark: The measurements.
        path: The file to write.

    Raises:
        OutputError: If the file cannot be written.
    """
    timed = [(row, row.latency) for row in benchmark.rows if row.latency is not None]
    points = [(row.name, latency, row.map50_95) for row, latency in timed if row.map50_95 is not None]
    shape = "x".join(map(str, benchmark.input_shape))
    threads = f"{benchmark.threads} thread{'' if benchmark.threads == 1 else 's'}"
    title = f"{label_text(benchmark.model)}: input {shape}, {threads}"
    figure = new_figure(8, 4.6 if points else 1.4 + 0.42 * len(timed))
    axes = figure.add_subplot()
    if points:
        style_axes(axes, title, "latency, ms", "mAP50-95")
        _draw_points(axes, points)
    else:
        style_axes(axes, title, "latency, ms")
        _draw_bars(axes, [(row.name, latency) for row, latency in timed])
    save_figure(figure, path)


def _draw_points(axes: Axes, points: Sequence[tuple[str, Durations, float]]) -> None:
    # The network in torch is black; the others have colors.
    others = [name for name, _, _ in points if name != EAGER]
    for name, latency, accuracy in sorted(points, key=lambda point: point[1].median):
        number = others.index(name) if name in others else None
        lower, median, upper = latency.quartiles
        axes.errorbar(
            median,
            accuracy,
            xerr=[[median - lower], [upper - median]],
            color=INK if number is None else COLORS[number % len(COLORS)],
            marker="X" if number is None else _MARKERS[number % len(_MARKERS)],
            markeredgecolor="white",
            markersize=9,
            linestyle="none",
            label=f"{name}  {median:.1f} ms, {accuracy:.3f}",
        )
    values = [accuracy for _, _, accuracy in points]
    center, half = (max(values) + min(values)) / 2, max(_SMALLEST_RANGE, 1.3 * (max(values) - min(values))) / 2
    axes.set_ylim(max(-0.01, center - half), min(1, center + half))
    axes.set_xlim(0, 1.08 * max(latency.quartiles[2] for _, latency, _ in points))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9, labelcolor=INK)


def _draw_bars(axes: Axes, rows: Sequence[tuple[str, Durations]]) -> None:
    for position, (_, latency) in enumerate(rows):
        lower, median, upper = latency.quartiles
        axes.barh(position, median, height=0.62, color=COLORS[0])
        axes.errorbar(median, position, xerr=[[median - lower], [upper - median]], color=INK, capsize=3)
        axes.annotate(
            f"{median:.1f} ms",
            (upper, position),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.18 * max(latency.quartiles[2] for _, latency in rows))
