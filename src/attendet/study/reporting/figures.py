"""The figures of a report: learning curves, paired differences, accuracy against cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attendet.study.folder import StudyRecords, runs_of_arm
from attendet.study.reporting.arms import ArmReport
from attendet.study.reporting.contrasts import Contrast
from attendet.study.reporting.explanations import verdict_phrase
from attendet.study.reporting.outcome import StudyReport
from attendet.study.reporting.run_scores import curves
from attendet.study.statistics.paired import SeedSummary
from attendet.utils.plotting import COLORS, FAINT, INK, label_text, new_figure, save_figure, style_axes

# The baseline has squares.
MARKERS = "oD^vP*X"
COLUMNS = 3
# Smallest span of an axis, in units of the metric (0-1).
MIN_SPAN = 0.02


def draw_figures(report: StudyReport, records: StudyRecords, folder: Path) -> dict[str, Path]:
    """Draw the figures that the records have data for, and return their paths by name.

    Args:
        report: The report.
        records: Records of the study, for the learning curves.
        folder: Folder for the figures, `<name>.png`.

    Raises:
        OutputError: If a figure cannot be written.
    """
    figures = {
        "differences": _differences(report),
        "curves": _learning_curves(report, records),
        "costs": _costs(report),
        "data": _data_efficiency(report),
        "gap": _gaps(report),
    }
    drawn = {name: (figure, folder / f"{name}.png") for name, figure in figures.items() if figure is not None}
    for figure, path in drawn.values():
        save_figure(figure, path)
    return {name: path for name, (_, path) in drawn.items()}


def _differences(report: StudyReport) -> Figure | None:
    """Draw every paired difference as a dot, with mean, interval, and verdict."""
    compared = [contrast for contrast in report.contrasts if contrast.n]
    if not compared:
        return None
    figure = new_figure(8.2, 1.2 + 0.62 * len(compared))
    axes = figure.add_subplot()
    style_axes(
        axes,
        f"{report.metric}: arm minus other, seed by seed",
        "difference; thick bars hold for all comparisons together, thin ones alone",
    )
    axes.axvline(0, color=INK, linewidth=1)
    if report.matters:
        axes.axvspan(-report.matters, report.matters, color=FAINT, alpha=0.15, linewidth=0)
    for row, contrast in enumerate(compared):
        _difference(axes, row, contrast)
    _widen(axes.get_xlim, axes.set_xlim)
    _name_rows(axes, [f"{label_text(each.arm)}\nagainst {label_text(each.against)}" for each in compared])
    verdicts = axes.secondary_yaxis("right")
    verdicts.set_yticks(range(len(compared)), [verdict_phrase(each.verdict, report.matters) for each in compared])
    verdicts.tick_params(length=0, labelsize=9, colors=INK)
    verdicts.spines["right"].set_visible(False)
    return figure


def _difference(axes: Axes, row: int, contrast: Contrast) -> None:
    color = {"helps": COLORS[2], "hurts": COLORS[1]}.get(contrast.verdict.partition(" ")[0], FAINT)
    axes.plot(contrast.differences, np.full(contrast.n, row + 0.24), "o", color=color, markersize=4, alpha=0.7)
    if contrast.interval:
        axes.plot(contrast.interval, (row, row), color=color, linewidth=6, solid_capstyle="butt", alpha=0.55)
    if contrast.marginal_interval:
        axes.plot(contrast.marginal_interval, (row, row), color=INK, linewidth=1.2, solid_capstyle="butt")
    if contrast.difference is not None:
        axes.plot(contrast.difference, row, "D", color=INK, markersize=6)


def _learning_curves(report: StudyReport, records: StudyRecords) -> Figure | None:
    """Draw the learning curve of each arm over that of the baseline: means, with bands of one standard deviation."""
    metric = records.study.design.metric
    by_arm = {arm.name: curves(runs_of_arm(records, arm.name), metric) for arm in report.arms}
    shown_arms = [arm.name for arm in report.arms if by_arm[arm.name] and arm.name != report.baseline]
    if not shown_arms:
        return None
    columns = min(COLUMNS, len(shown_arms))
    lines = -(-len(shown_arms) // columns)
    figure = new_figure(4.2 * columns, 3.2 * lines)
    panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)).ravel()
    for panel in panels[len(shown_arms) :]:
        panel.set_visible(False)
    for number, name in enumerate(shown_arms):
        axes = panels[number]
        style_axes(axes, label_text(name), "epoch", report.metric if number % columns == 0 else "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(labelbottom=True)
        _band(axes, by_arm[report.baseline], FAINT, label_text(report.baseline))
        _band(axes, by_arm[name], COLORS[0], label_text(name))
        axes.legend(fontsize=9, frameon=False, loc="lower right")
    return figure


def _band(axes: Axes, curve: Mapping[int, list[float]], color: str, label: str) -> None:
    if not curve:
        return
    epochs = np.array(list(curve))
    means = np.array([np.mean(values) for values in curve.values()])
    spreads = np.array([np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in curve.values()])
    axes.fill_between(epochs, means - spreads, means + spreads, color=color, alpha=0.25, linewidth=0)
    axes.plot(epochs, means, color=color, linewidth=1.8, marker="o" if len(epochs) == 1 else "", label=label)


def _costs(report: StudyReport) -> Figure | None:
    """Draw accuracy against each cost, and connect the arms on the Pareto front."""
    kinds: dict[str, Callable[[ArmReport], float | None]] = {
        "parameters in millions": lambda arm: arm.parameters / 1e6 if arm.parameters is not None else None,
        "GFLOPs an image": lambda arm: arm.gflops,
        **{f"latency in ms, batch {batch}": _latency(batch) for batch in report.batches},
        "training in minutes": lambda arm: arm.seconds.mean / 60 if arm.seconds else None,
    }
    panels = {
        title: points
        for title, cost in kinds.items()
        if (points := [(arm, value) for arm in report.arms if arm.score and (value := cost(arm)) is not None])
    }
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    figure = new_figure(4.2 * columns, 3.3 * -(-len(panels) // columns) + 0.4)
    styles = _arm_styles(report)
    for number, (title, points) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(-(-len(panels) // columns), columns, number)
        style_axes(axes, "", title, report.metric if number % columns == 1 or columns == 1 else "")
        _front(axes, [(cost, arm.score.mean) for arm, cost in points if arm.score])
        for arm, cost in points:
            _point(axes, cost, arm.score, styles[arm.name], label_text(arm.name))
        axes.margins(0.12)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        _widen(axes.get_ylim, axes.set_ylim)
    names, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(names, labels, loc="outside upper left", ncols=min(8, len(labels)), fontsize=9, frameon=False)
    return figure


def _widen(get: Callable[[], tuple[float, float]], let: Callable[[float, float], object]) -> None:
    """Widen an axis to at least MIN_SPAN, because a tiny difference across a whole figure looks large."""
    low, high = get()
    missing = max(0.0, MIN_SPAN - (high - low)) / 2
    let(low - missing, high + missing)


def _latency(batch: int) -> Callable[[ArmReport], float | None]:
    def median(arm: ArmReport) -> float | None:
        latencies = arm.costs.latency if arm.costs else ()
        return next((latency.median_ms for latency in latencies if latency.batch == batch), None)

    return median


def _front(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    front = [
        point
        for point in sorted(points)
        if not any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)
    ]
    axes.plot(*zip(*front, strict=True), color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=1)


def _point(axes: Axes, x: float, score: SeedSummary | None, style: tuple[str, str], label: str) -> None:
    if score:
        color, marker = style
        error = score.spread or 0.0
        axes.errorbar(
            x,
            score.mean,
            yerr=error,
            color=color,
            marker=marker,
            markersize=7,
            elinewidth=1,
            linestyle="",
            label=label,
        )


def _data_efficiency(report: StudyReport) -> Figure | None:
    """Draw the score against the fraction of the training images, and the difference to the baseline."""
    if len(report.arms[0].fractions) < 2:
        return None
    figure = new_figure(11, 4)
    scores, differences = figure.subplots(1, 2)
    shares = "share of the training images"
    style_axes(scores, "mean and standard deviation", shares, report.metric)
    style_axes(differences, "difference to the baseline, 95 % interval", shares)
    differences.axhline(0, color=INK, linewidth=1)
    styles = _arm_styles(report)
    for number, arm in enumerate(report.arms):
        color, marker = styles[arm.name]
        # Shift the arms, because bars at the same fraction would hide each other.
        shift = 0.008 * (number - (len(report.arms) - 1) / 2)
        scored = [each for each in arm.fractions if each.score]
        x = [each.fraction + shift for each in scored]
        means = [each.score.mean for each in scored if each.score]
        spreads = [each.score.spread or 0.0 for each in scored if each.score]
        options = {"color": color, "marker": marker, "markersize": 5, "elinewidth": 1, "linewidth": 1.5}
        if scored:
            scores.errorbar(x, means, yerr=spreads, label=label_text(arm.name), **options)
        compared = [each for each in scored if each.difference is not None]
        if compared:
            middle = np.array([each.difference for each in compared])
            ends = np.array([each.interval or (each.difference, each.difference) for each in compared]).T
            bars = np.abs(ends - middle)
            differences.errorbar([each.fraction + shift for each in compared], middle, yerr=bars, **options)
    for axes in (scores, differences):
        axes.set_xticks([each.fraction for each in report.arms[0].fractions])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value * 100:g} %")
    scores.legend(fontsize=9, frameon=False, loc="lower right")
    return figure


def _gaps(report: StudyReport) -> Figure | None:
    """Draw the gap between training and validation scores of each arm."""
    arms = [arm for arm in report.arms if arm.gap]
    if not arms:
        return None
    figure = new_figure(8, 1.1 + 0.34 * len(arms))
    axes = figure.add_subplot()
    style_axes(axes, f"{report.metric} on training images minus on validation images", "mean and standard deviation")
    styles = _arm_styles(report)
    for row, arm in enumerate(arms):
        if arm.gap:
            color, marker = styles[arm.name]
            axes.errorbar(arm.gap.mean, row, xerr=arm.gap.spread or 0.0, color=color, marker=marker, markersize=7)
    _name_rows(axes, [label_text(arm.name) for arm in arms])
    return figure


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows, the first one on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def _arm_styles(report: StudyReport) -> dict[str, tuple[str, str]]:
    """Return color and marker of each arm, the same in all figures. The baseline has the color of text."""
    others = [arm.name for arm in report.arms if arm.name != report.baseline]
    styles = {
        name: (COLORS[number % len(COLORS)], MARKERS[(number + number // len(COLORS)) % len(MARKERS)])
        for number, name in enumerate(others)
    }
    return {report.baseline: (INK, "s"), **styles}
