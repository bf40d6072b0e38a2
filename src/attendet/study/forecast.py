"""Forecast of a study: number of runs, hours, and the smallest difference that it can detect."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from attendet.errors import AttendetError
from attendet.study.design.grid import Cell
from attendet.study.design.schema import METRIC_NAMES, StudyDesign
from attendet.study.power_curves import PowerPoint, power_curve
from attendet.study.reporting.explanations import cannot_decide
from attendet.study.runs.execution import Study
from attendet.study.statistics.power import MAX_SEEDS, Question, looks_power, seeds_for, smallest_detectable
from attendet.study.statistics.resampling import p_floor
from attendet.training.config import build_config
from attendet.training.reporter import NullReporter
from attendet.training.step_timing import measure_step_times
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.text import plural


@dataclass(frozen=True)
class StudyForecast:
    """Costs of a study, and the differences that it can detect.

    Attributes:
        runs: Number of runs.
        finished: Number of runs that are finished already.
        hours: Time of the remaining runs, one after the other; None if no step was measured.
        hours_by_arm: The same by arm.
        budget_hours: Time that the study may take.
        comparisons: Number of arms that are compared with the baseline.
        p_floor: Smallest p that this number of seeds can reach.
        detectable: Smallest true difference that 80 % of studies detect, in standard deviations of paired differences;
            None if no difference can be detected.
        detectable_in_metric: The same in units of the metric, if the design gives the spread.
        curve: What other numbers of seeds can show, in units of the metric if the design gives the spread, otherwise in
            standard deviations.
        seeds_to_find: Number of seeds with which 80 % of studies find a true difference of `matters`; None if it needs
            more than 200, or the design does not give `matters` and `spread`.
        seeds_to_exclude: Number of seeds with which 80 % of studies find that an arm without an effect makes no
            difference that matters; None likewise.
        warnings: Problems of the plan, one sentence each.
    """

    runs: int
    finished: int
    hours: float | None
    hours_by_arm: Mapping[str, float]
    budget_hours: float | None
    comparisons: int
    p_floor: float
    detectable: float | None
    detectable_in_metric: float | None
    curve: tuple[PowerPoint, ...]
    seeds_to_find: int | None
    seeds_to_exclude: int | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as plain values, ready for JSON."""
        lists = {"curve": [asdict(point) for point in self.curve], "warnings": list(self.warnings)}
        return asdict(self) | {"hours_by_arm": dict(self.hours_by_arm)} | lists

    def _repr_html_(self) -> Markup:
        """Return the numbers as a table, and the warnings below it, for notebooks."""
        rows = [
            ("runs", f"{self.runs:,}"),
            ("finished runs", f"{self.finished:,}"),
            ("hours", _number(self.hours, 1)),
            *((f"hours of {arm}", _number(hours, 1)) for arm, hours in self.hours_by_arm.items()),
            ("budget in hours", _number(self.budget_hours, 1)),
            ("comparisons", f"{self.comparisons:,}"),
            ("smallest p", f"{self.p_floor:.2g}"),
            ("detectable difference in standard deviations", _number(self.detectable, 1)),
            ("detectable difference in the metric", _number(self.detectable_in_metric, 3)),
            ("seeds that find a difference that matters", _number(self.seeds_to_find, 0)),
            ("seeds that show that none matters", _number(self.seeds_to_exclude, 0)),
        ]
        table = html_table(("quantity", "value"), rows, text_columns=1, label="forecast")
        return Markup(table + html_paragraphs(self.warnings))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def forecast_study(
    design: StudyDesign,
    cells: Sequence[Cell],
    seconds: Mapping[tuple[str, float], float] | None = None,
    finished: Collection[str] = (),
) -> StudyForecast:
    """Return the forecast of a study.

    Args:
        design: The design of the study.
        cells: All planned runs.
        seconds: Duration of a run by arm and fraction of the images (see `estimate_duration`); None if not measured.
        finished: Keys of the runs that have finished or diverged.

    Example:
        >>> from attendet.study.design.design_file import parse_design
        >>> design = parse_design("{name: a, model: yolov5n, data: d.yaml, seeds: 5, arms: {plain: , cbam: cbam@neck}}")
        >>> cells = [Cell(arm, seed, 1.0, f"{arm}{seed}") for seed in range(5) for arm in design.arms]
        >>> plan = forecast_study(design, cells, {("plain", 1.0): 360.0, ("cbam", 1.0): 720.0})
        >>> plan.runs, plan.hours, plan.warnings[0]
        (10, 1.5, '5 seeds cannot decide anything: p is at least 0.062 for any difference; 6 seeds can')
    """
    left = [cell for cell in cells if cell.key not in finished]
    by_arm: dict[str, float] = {}
    for cell in left if seconds else ():
        by_arm[cell.arm] = by_arm.get(cell.arm, 0.0) + (seconds or {})[cell.arm, cell.fraction] / 3600
    hours = sum(by_arm.values()) if seconds else None
    planned, comparisons = len(design.seeds), design.comparisons
    multiple = smallest_detectable(planned, comparisons)
    return StudyForecast(
        runs=len(cells),
        finished=len(cells) - len(left),
        hours=hours,
        hours_by_arm=by_arm,
        budget_hours=design.budget_hours,
        comparisons=comparisons,
        p_floor=p_floor(planned),
        detectable=multiple,
        detectable_in_metric=multiple * design.spread if multiple and design.spread else None,
        curve=power_curve(comparisons, planned, spread=design.spread, hours_per_seed=_hours_per_seed(design, seconds)),
        seeds_to_find=_seeds_that_answer(design, "difference"),
        seeds_to_exclude=_seeds_that_answer(design, "no difference"),
        warnings=tuple(_warnings(design, hours)),
    )


def describe_forecast(plan: StudyForecast, design: StudyDesign) -> list[str]:
    """Return the forecast as lines of text."""
    shape = f"{plural(len(design.arms), 'arm')} × {plural(len(design.seeds), 'seed')}"
    if len(design.fractions) > 1:
        shape += f" × {len(design.fractions)} fractions of the images"
    done = f", {plan.finished} of them finished" if plan.finished else ""
    lines = [f"{shape}: {plural(plan.runs, 'run')}{done}"]
    if plan.hours is not None:
        budget = f" (budget: {plan.budget_hours:g} hours)" if plan.budget_hours else ""
        lines.append(f"about {plan.hours:.1f} hours one after the other{budget}")
    if plan.detectable is not None:
        lines.append(
            f"80 % of studies detect a difference of {plan.detectable:.1f} standard deviations of paired differences"
        )
    if plan.detectable_in_metric is not None:
        metric = METRIC_NAMES[design.metric]
        lines.append(f"with a spread of {design.spread:g} this is {plan.detectable_in_metric:.3f} {metric}")
    return [*lines, *_both_answers(plan, design), *_looks(design), *plan.warnings]


def _looks(design: StudyDesign) -> Iterator[str]:
    if not design.looks:
        return
    known = design.matters is not None and design.spread is not None
    effect = (design.matters or 1.0) / (design.spread or 1.0) if known else 1.0
    power, seeds = looks_power(design.looks, effect, design.comparisons)
    size = f"{design.matters:g}" if known else "one standard deviation"
    looks = ", ".join(map(str, design.looks))
    yield (
        f"with looks at {looks} seeds, {100 * power:.0f} % of studies find a true difference of {size}, with"
        f" {seeds:.1f} seeds on average"
    )


def difference_unit(design: StudyDesign) -> str:
    """Return the unit of the differences in the curve of a forecast."""
    return METRIC_NAMES[design.metric] if design.spread else "standard deviations of paired differences"


def _both_answers(plan: StudyForecast, design: StudyDesign) -> Iterator[str]:
    if design.matters is None:
        return
    if design.spread is None:
        yield f"give `spread` to see how many seeds a difference of {design.matters:g} needs"
        return
    find, exclude = (_at_most(count) for count in (plan.seeds_to_find, plan.seeds_to_exclude))
    yield f"80 % of studies find a true difference of {design.matters:g} with {find}"
    yield f"80 % of studies show that an arm without an effect makes no difference that matters with {exclude}"


def _at_most(seeds: int | None) -> str:
    return f"more than {MAX_SEEDS} seeds" if seeds is None else plural(seeds, "seed")


def _seeds_that_answer(design: StudyDesign, question: Question) -> int | None:
    if design.matters is None or design.spread is None:
        return None
    return seeds_for(design.matters / design.spread, design.comparisons, question=question)


def _hours_per_seed(design: StudyDesign, seconds: Mapping[tuple[str, float], float] | None) -> float | None:
    if seconds is None:
        return None
    return sum(seconds[arm, fraction] for arm in design.arms for fraction in design.fractions) / 3600


def _warnings(design: StudyDesign, hours: float | None) -> Iterator[str]:
    too_few = cannot_decide(len(design.seeds))
    if too_few:
        yield too_few
    if hours is not None and design.budget_hours is not None and hours > design.budget_hours:
        yield f"the study takes {hours:.1f} hours, more than the budget of {design.budget_hours:g}"


def estimate_duration(study: Study) -> dict[tuple[str, float], float]:
    """Estimate the seconds of a run by arm and fraction of the images, from a few training steps of each arm.

    Args:
        study: The study. Nothing is written.

    Raises:
        AttendetError: If an arm cannot be trained.
    """
    seconds = {}
    for arm in study.design.arms:
        config = build_config(study.job(Cell(arm, study.design.seeds[0], 1.0, "")).settings)
        try:
            pace = measure_step_times(config, NullReporter())
        except AttendetError as error:
            raise type(error)(f"the arm {arm}: {error.message}", where=error.where, remedy=error.remedy) from error
        schedule = config.schedule
        measurements = 1 + (schedule.epochs if config.validation.every_epoch else 1)
        validation = measurements * _batches(pace.validation_images, schedule.batch_size)
        for fraction in study.design.fractions:
            training = _batches(max(1, round(fraction * pace.training_images)), schedule.batch_size)
            # At the end, the best weights are validated on the training images as well.
            measured = (validation + training) * pace.validation_seconds
            seconds[arm, fraction] = pace.start_seconds + schedule.epochs * training * pace.step_seconds + measured
    return seconds


def _batches(images: int, batch_size: int) -> int:
    return -(-images // batch_size)
