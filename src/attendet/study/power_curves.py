"""The power of numbers of seeds, as curves and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.study.statistics.power import smallest_detectable, smallest_margin
from attendet.utils.plotting import COLORS, FAINT, INK, new_figure, save_figure, style_axes

SEED_COUNTS = (6, 8, 10, 12, 16, 20)


@dataclass(frozen=True)
class PowerPoint:
    """The power of a number of seeds.

    Attributes:
        seeds: Number of seeds.
        detectable: Smallest true difference that 80 % of studies detect.
        margin: Smallest margin within which 80 % of studies find an arm that makes no difference.
        hours: Time of all runs with this number of seeds, one after the other; None if it was not measured.
    """

    seeds: int
    detectable: float | None
    margin: float | None
    hours: float | None


def power_curve(
    comparisons: int,
    planned: int,
    *,
    spread: float | None = None,
    hours_per_seed: float | None = None,
    counts: Sequence[int] = SEED_COUNTS,
) -> tuple[PowerPoint, ...]:
    """Return the power of several numbers of seeds.

    Args:
        comparisons: Number of arms that are compared.
        planned: Planned number of seeds, which is included.
        spread: Standard deviation of the paired differences in units of the metric (default: 1, so that differences are
            in standard deviations).
        hours_per_seed: Time of the runs of all arms with one seed.
        counts: Numbers of seeds.

    Example:
        >>> curve = power_curve(1, planned=6, spread=0.01, counts=[8])
        >>> [(point.seeds, round(point.detectable, 3)) for point in curve]
        [(6, 0.018), (8, 0.012)]
    """
    unit = spread or 1.0
    return tuple(
        PowerPoint(
            count,
            _scaled(smallest_detectable(count, comparisons), unit),
            _scaled(smallest_margin(count, comparisons), unit),
            None if hours_per_seed is None else count * hours_per_seed,
        )
        for count in sorted({*counts, planned})
    )


def draw_power(
    curve: Sequence[PowerPoint],
    planned: int,
    path: Path,
    *,
    unit: str,
    matters: float | None = None,
) -> None:
    """Draw seeds against the smallest difference that is found, for both answers, with the cost in hours.

    Args:
        curve: The points.
        planned: Planned number of seeds, which is marked.
        path: File for the picture, PNG.
        unit: Unit of the differences, such as `mAP50-95`.
        matters: Smallest difference that matters, in the same unit.

    Raises:
        OutputError: If the picture cannot be written.
    """
    figure = new_figure(7.5, 4.6)
    axes = figure.add_subplot()
    style_axes(axes, "What 80 % of studies can show", "seeds", f"difference in {unit}")
    lines: Mapping[str, tuple[str, str, str]] = {
        "helps or hurts: smallest true difference": ("detectable", COLORS[0], "o"),
        "no difference that matters: smallest margin": ("margin", COLORS[1], "s"),
    }
    for label, (name, color, marker) in lines.items():
        points = [(point.seeds, value) for point in curve if (value := getattr(point, name)) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, marker=marker, label=label)
    axes.axvline(planned, color=INK, linewidth=1, linestyle=(0, (4, 2)), label=f"planned: {planned} seeds")
    if matters is not None:
        axes.axhline(matters, color=FAINT, linewidth=1.5, label=f"matters: {matters:g}")
    axes.set_ylim(bottom=0)
    ticks = [point.seeds for point in curve]
    hours = {point.seeds: point.hours for point in curve if point.hours is not None}
    axes.set_xticks(ticks, [f"{seeds}\n{hours[seeds]:.3g} h" if seeds in hours else str(seeds) for seeds in ticks])
    axes.legend(fontsize=9, frameon=False, loc="upper right")
    save_figure(figure, path)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value * unit
