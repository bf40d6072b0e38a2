"""Choose how the rows of a model file are read by the parameter counts that a fork printed or trained.

The result is a model file whose rows name all options, so that everything that reads it builds the same model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attendet.models.count_evidence import ForkCounts, Like, fork_counts
from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.readings import buildable_variations
from attendet.models.yaml.lookup import ModelSource, load_model_file
from attendet.models.yaml.model_file import LayerRow, ModelFile, read_model_file
from attendet.models.yaml.row_planning import PlannedRow
from attendet.models.yaml.row_variations import Variation, flow_text
from attendet.utils.text import plural

_MAX_COMBINATIONS = 100_000
_MAX_LISTED = 5
_TABLE = "give the whole printed table"


@dataclass(frozen=True)
class Resolution:
    """A model file whose rows name the options that explain the parameter counts.

    Attributes:
        file: The model file; only modules and arguments of the chosen rows differ from the original.
        choices: The rows that are read in another way than by default, one sentence each.
        findings: Rows, or a total, that no known reading explains.
        num_classes: Number of classes of the model that was counted; None for that of the file.
    """

    file: ModelFile
    choices: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    num_classes: int | None = None


def resolve_readings(
    model: ModelSource, like: Like, *, num_classes: int | None = None, dialect: str = "auto"
) -> Resolution:
    """Choose the reading of every attention row whose parameter count equals that of a fork.

    Args:
        model: Path of a model file, a bundled name, or a model file that was read before.
        like: The table that the fork printed for this file (a text file, such as a log), the total number of
            parameters, or a state dict with keys `model.{row}.…`.
        num_classes: Number of classes of the fork's model (default: that in `like`, or that of the file).
        dialect: Dialect of attention rows, which is tried first.

    Raises:
        ModelFileError: If the model file cannot be read, or `like` belongs to another file.
        OptionError: If `like` cannot be read.
        UnknownNameError: If the dialect is unknown.

    Example:
        >>> print(resolve_readings("yolov5s_CBAM", 7_268_800).choices[0])
        row 9: CBAM [1024, 16, 7] is read as CBAM [1024, {reduction: 16, kernel_size: 7, variant: biased}]
    """
    file = load_model_file(model)
    counts = fork_counts(like, file)
    classes = counts.num_classes or num_classes
    plan = plan_model(file, num_classes=classes, dialect=dialect, tolerant=True)
    chosen, findings = _choose_by_row(plan, counts) if counts.rows else _choose_by_total(plan, counts)
    resolved = read_model_file(_rewrite(file.text, chosen), file.name) if chosen else file
    choices = tuple(_describe(file.rows[row], variation.row) for row, variation in chosen.items())
    return Resolution(resolved, choices, tuple(findings), classes)


def _choose_by_row(plan: ModelPlan, counts: ForkCounts) -> tuple[dict[int, Variation], list[Finding]]:
    """Return the readings that have the counts of the rows, and the rows that no reading explains."""
    chosen: dict[int, Variation] = {}
    readings: dict[str, str] = {}
    findings: list[Finding] = []
    for planned in _comparable_rows(plan):
        row, count, own = planned.row, counts.rows.get(planned.row.index, 0), counts.of_row(planned)
        if own == count:
            continue
        built = [(variation, counts.of_row(other)) for variation, other in buildable_variations(plan, planned)]
        matching = [variation for variation, number in built if number == count]
        # A file comes from one fork, so its rows with the same module are read in the same way where possible.
        matching.sort(key=lambda variation: variation.reading != readings.get(row.module))
        if matching:
            chosen[row.index] = matching[0]
            readings[row.module] = matching[0].reading
        else:
            findings.append(_unexplained_row(row, count, {own, *(number for _, number in built)}, counts.source))
    return chosen, findings


def _comparable_rows(plan: ModelPlan) -> Iterator[PlannedRow]:
    """Yield the rows whose number of values is known: they can be built, and the channels of their inputs are known."""
    for planned in plan.rows:
        sources = planned.row.sources
        if planned.spec is not None and not any("channels" in plan.unknown(source.row) for source in sources):
            yield planned


def _unexplained_row(row: LayerRow, count: int, known: set[int], source: str) -> Finding:
    nearest = sorted(sorted(known, key=lambda number: abs(number - count))[:_MAX_LISTED])
    message = (
        f"{row.module} has {plural(count, 'parameter')} in {source}; the nearest known readings have "
        f"{', '.join(f'{number:,}' for number in nearest)}"
    )
    return Finding("unexplained", message, "the fork builds another module", row.location, row.index)


def _choose_by_total(plan: ModelPlan, counts: ForkCounts) -> tuple[dict[int, Variation], list[Finding]]:
    """Return the only combination of readings with the total; one reading for all rows with the same module."""
    where = plan.rows[-1].row.location
    missing_rows = [planned.row.index for planned in plan.rows if planned.spec is None]
    if missing_rows:
        message = f"the total cannot be compared, because row {missing_rows[0]} cannot be built"
        return {}, [Finding("unchecked", message, _TABLE, where)]
    own = sum(counts.of_row(planned) for planned in plan.rows)
    total = counts.total or 0
    if own == total:
        return {}, []
    groups: dict[str, list[PlannedRow]] = {}
    for planned in plan.rows:
        groups.setdefault(planned.row.module, []).append(planned)
    choices = [choice for rows in groups.values() if len(choice := _group_choices(plan, rows, counts)) > 1]
    message = f"the fork's model has {plural(total, 'parameter')}, this one {own:,}"
    if math.prod(map(len, choices)) > _MAX_COMBINATIONS:
        return {}, [Finding("unexplained", f"{message}; there are too many readings to try", _TABLE, where)]
    combinations = itertools.product(*choices)
    matching = [each for each in combinations if sum(additional for additional, _ in each) == total - own]
    if not matching:
        classes = f"{message} with {plural(plan.num_classes, 'class', 'classes')}; no known reading explains it"
        return {}, [Finding("unexplained", classes, f"{_TABLE}, or another number of classes", where)]
    if len(matching) > 1:
        return {}, [Finding("unexplained", f"{message}; {len(matching)} combinations explain it", _TABLE, where)]
    return {row: variation for _, group in matching[0] for row, variation in group.items()}, []


def _group_choices(
    plan: ModelPlan, rows: Sequence[PlannedRow], counts: ForkCounts
) -> list[tuple[int, dict[int, Variation]]]:
    """Return the readings that all of these rows have: the additional parameters, and the variation of each row."""
    by_reading: dict[str, dict[int, tuple[Variation, int]]] = {}
    for planned in rows:
        own = counts.of_row(planned)
        for variation, built in buildable_variations(plan, planned):
            additional = (variation, counts.of_row(built) - own)
            by_reading.setdefault(variation.reading, {}).setdefault(planned.row.index, additional)
    choices: dict[int, dict[int, Variation]] = {0: {}}
    for of_rows in by_reading.values():
        additional = sum(parameters for _, parameters in of_rows.values())
        if len(of_rows) == len(rows):
            choices.setdefault(additional, {row: variation for row, (variation, _) in of_rows.items()})
    return list(choices.items())


def _rewrite(text: str, chosen: Mapping[int, Variation]) -> str:
    """Return the text with the modules and arguments of the chosen rows, from the last to the first."""
    for _, variation in sorted(chosen.items(), reverse=True):
        row = variation.row
        for (start, end), new in ((row.args_span, flow_text(list(row.args))), (row.module_span, row.module)):
            text = f"{text[:start]}{new}{text[end:]}"
    return text


def _describe(old: LayerRow, new: LayerRow) -> str:
    before, after = (f"{row.module} {flow_text(list(row.args))}" for row in (old, new))
    return f"row {old.index}: {before} is read as {after}"
