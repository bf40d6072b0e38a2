"""What attention sites do on a data set: what mAP is without them, and how their weights vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from attendet.interpret.dataset.survey import Survey
from attendet.utils.plotting import COLORS, FAINT, GRID, INK, label_text, new_figure, save_figure, style_axes

BAR = 0.36
# In inches: of one bar or part, and of all that stands above and below the panels.
LINE, MARGIN = 0.34, 1.3


def attention_survey(survey: Survey, path: Path) -> None:
    """Draw by site what mAP50-95 changes without it and with constant weights, and how its weights vary.

    Args:
        survey: Of one site or more.
        path: Where the picture goes.

    Raises:
        OutputError: If the picture cannot be written.
    """
    lines = sum(max(2, len(report.statistics.parts)) for report in survey.sites)
    figure = new_figure(11, min(MARGIN + LINE * lines, 40))
    sides = figure.subfigures(1, 2, squeeze=False)
    for side, draw in zip(sides[0], (_changes, _weights), strict=True):
        draw(side.add_subplot(), survey)
        side.legend(loc="outside lower center", fontsize=8, frameon=False, ncols=3, columnspacing=1.2)
    save_figure(figure, path)


def _changes(axes: Axes, survey: Survey) -> None:
    whole = survey.metrics.map50_95
    style_axes(axes, f"change of mAP50-95, which is {whole:.3f}", "change of mAP50-95")
    axes.axvspan(-survey.noise, survey.noise, color=GRID, zorder=0, label="one object more or less")
    places = np.arange(len(survey.sites))
    without = [report.without.map50_95 - whole for report in survey.sites]
    constant = [report.constant.map50_95 - whole if report.constant else np.nan for report in survey.sites]
    axes.barh(places - BAR / 2, without, BAR, color=COLORS[0], label="without the site")
    axes.barh(places + BAR / 2, constant, BAR, color=COLORS[1], label="weights replaced by their means")
    axes.axvline(0, color=INK, linewidth=1)
    for place, values in zip(places, zip(without, constant, strict=True), strict=True):
        for offset, value in zip((-BAR / 2, BAR / 2), values, strict=True):
            if np.isfinite(value):
                axes.annotate(
                    f"{value:+.3f}",
                    (value, place + offset),
                    (4 if value >= 0 else -4, 0),
                    textcoords="offset points",
                    fontsize=8,
                    color=INK,
                    ha="left" if value >= 0 else "right",
                    va="center",
                )
    axes.margins(x=0.18)
    axes.set_yticks(places, [label_text(report.statistics.path, 32) for report in survey.sites], fontsize=9)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _weights(axes: Axes, survey: Survey) -> None:
    style_axes(axes, "weights over the images", "weight")
    parts = [(report.statistics, part) for report in survey.sites for part in report.statistics.parts]
    for place, (_, part) in enumerate(parts):
        axes.plot([part.mean - part.std, part.mean + part.std], [place] * 2, color=FAINT, linewidth=2)
        ends = [part.mean - part.between, part.mean + part.between]
        axes.plot(ends, [place] * 2, color=COLORS[2], linewidth=7, solid_capstyle="butt")
        axes.plot(part.mean, place, "o", color=INK, markersize=5)
    axes.plot([], [], "o", color=INK, markersize=5, label="mean")
    axes.plot([], [], color=FAINT, linewidth=2, label="± standard deviation")
    axes.plot([], [], color=COLORS[2], linewidth=7, label="± between images")
    names = [f"{label_text(site.path, 32)}\n{part.name}" for site, part in parts]
    axes.set_yticks(range(len(parts)), names, fontsize=9)
    axes.set_ylim(max(len(parts), 1) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
