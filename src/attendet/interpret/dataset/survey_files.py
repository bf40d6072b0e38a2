"""The files of a survey of attention sites: JSON, a table, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attendet.interpret.dataset.survey import Survey
from attendet.utils.io import write_csv, write_json
from attendet.utils.plotting import COLORS, FAINT, GRID, INK, label_text, new_figure, save_figure, style_axes
from attendet.utils.provenance import PACKAGES, versions

_PART_COLUMNS = ("mean", "std", "between", "fraction_between", "saturated")
_OVERLAP_COLUMNS = ("pointing", "energy", "area", "correlation", "concentration")


_BAR_HEIGHT = 0.36
# In inches: the height of a bar or part, and that of everything above and below the panels.
_LINE, _MARGIN = 0.34, 1.3
_MAX_HEIGHT = 40


def survey_record(survey: Survey, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of `attention.json`: the survey, and the versions of the software.

    Args:
        survey: The survey.
        about: Further entries that come first, such as weights and data.
    """
    return {**(about or {}), **survey.to_dict(), "versions": versions(PACKAGES)}


def write_survey(folder: Path, survey: Survey, about: Mapping[str, Any] | None = None) -> None:
    """Write `attention.json`, `attention.csv` (a row for each part of a site), and `attention.png`.

    Args:
        folder: The folder; it is created if it is missing.
        survey: The survey.
        about: Further entries of the JSON that come first, such as weights and data.

    Raises:
        OutputError: If a file cannot be written.
    """
    record = survey_record(survey, about)
    write_json(folder / "attention.json", record)
    write_csv(folder / "attention.csv", [row for site in record["sites"] for row in _rows(site)])
    draw_survey(survey, folder / "attention.png")


def _rows(site: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return one row for each part of a site, or one row for a site without parts; None for a missing value."""
    of_site = {key: value for key, value in site.items() if key not in ("object_overlap", "parts", "text")}
    overlap = site["object_overlap"] or {}
    return [
        {
            **of_site,
            "part": part.get("name"),
            **{name: part.get(name) for name in _PART_COLUMNS},
            **{name: overlap.get(name) for name in _OVERLAP_COLUMNS},
        }
        for part in site["parts"] or ({},)
    ]


def draw_survey(survey: Survey, path: Path) -> None:
    """Draw the changes of mAP50-95 without each site and with constant weights, and the variation of its weights.

    Args:
        survey: A survey of at least one site.
        path: The picture.

    Raises:
        OutputError: If the picture cannot be written.
    """
    lines = sum(max(2, len(report.statistics.parts)) for report in survey.sites)
    figure = new_figure(11, min(_MARGIN + _LINE * lines, _MAX_HEIGHT))
    panels = figure.subfigures(1, 2, squeeze=False)
    for panel, draw in zip(panels[0], (_draw_changes, _draw_weights), strict=True):
        draw(panel.add_subplot(), survey)
        panel.legend(loc="outside lower center", fontsize=8, frameon=False, ncols=3, columnspacing=1.2)
    save_figure(figure, path)


def _draw_changes(axes: Axes, survey: Survey) -> None:
    map50_95 = survey.metrics.map50_95
    style_axes(axes, f"change of mAP50-95 (unchanged network: {map50_95:.3f})", "change of mAP50-95")
    axes.axvspan(-survey.noise, survey.noise, color=GRID, zorder=0, label="one object more or less")
    rows = np.arange(len(survey.sites))
    without = [report.without.map50_95 - map50_95 for report in survey.sites]
    constant = [report.constant.map50_95 - map50_95 if report.constant else np.nan for report in survey.sites]
    axes.barh(rows - _BAR_HEIGHT / 2, without, _BAR_HEIGHT, color=COLORS[0], label="without the site")
    axes.barh(rows + _BAR_HEIGHT / 2, constant, _BAR_HEIGHT, color=COLORS[1], label="weights replaced by their means")
    axes.axvline(0, color=INK, linewidth=1)
    for row, values in zip(rows, zip(without, constant, strict=True), strict=True):
        for offset, value in zip((-_BAR_HEIGHT / 2, _BAR_HEIGHT / 2), values, strict=True):
            if np.isfinite(value):
                axes.annotate(
                    f"{value:+.3f}",
                    (value, row + offset),
                    (4 if value >= 0 else -4, 0),
                    textcoords="offset points",
                    fontsize=8,
                    color=INK,
                    ha="left" if value >= 0 else "right",
                    va="center",
                )
    axes.margins(x=0.18)
    axes.set_yticks(rows, [label_text(report.statistics.path, 32) for report in survey.sites], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _draw_weights(axes: Axes, survey: Survey) -> None:
    style_axes(axes, "weights over the images", "weight")
    parts = [(report.statistics, part) for report in survey.sites for part in report.statistics.parts]
    for row, (_, part) in enumerate(parts):
        axes.plot([part.mean - part.std, part.mean + part.std], [row] * 2, color=FAINT, linewidth=2)
        ends = [part.mean - part.between, part.mean + part.between]
        axes.plot(ends, [row] * 2, color=COLORS[2], linewidth=7, solid_capstyle="butt")
        axes.plot(part.mean, row, "o", color=INK, markersize=5)
    axes.plot([], [], "o", color=INK, markersize=5, label="mean")
    axes.plot([], [], color=FAINT, linewidth=2, label="± standard deviation")
    axes.plot([], [], color=COLORS[2], linewidth=7, label="± between images")
    names = [f"{label_text(site.path, 32)}\n{part.name}" for site, part in parts]
    axes.set_yticks(range(len(parts)), names, fontsize=9)
    axes.set_ylim(max(len(parts), 1) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
