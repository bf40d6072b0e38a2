"""Choose how the rows of a model file are read by the parameter counts that a fork printed or trained.

The result is a model file whose rows name all options, so that everything that reads it builds the same model.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from attendet.blocks.conv import Conv
from attendet.errors import ModelFileError
from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.printed_table import PrintedTable, load_printed_table
from attendet.models.readings import buildable_variations
from attendet.models.yaml.lookup import ModelSource, load_model_file
from attendet.models.yaml.model_file import LayerRow, ModelFile, read_model_file
from attendet.models.yaml.row_planning import PlannedRow
from attendet.models.yaml.row_variations import Variation, flow_text
from attendet.registry import normalize_name

Like: TypeAlias = "str | os.PathLike[str] | int | PrintedTable | Mapping[str, Tensor]"

_MAX_COMBINATIONS = 100_000
# Tensors of a state dict that are not learned.
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "anchors", "anchor_grid", "range")


@dataclass(frozen=True)
class ParameterCounts:
    """The parameter counts of a model that a fork built.

    Attributes:
        source: Origin of the counts, for messages.
        rows: Number of learned values by row; empty if only the total is known.
        total: Number of learned values of the model; None if only the rows are known.
        is_fused: Whether the total does not have the batch norms that belong to a `Conv`.
        num_classes: Number of classes of the model; None for that of the file.
    """

    source: str
    rows: Mapping[int, int]
    total: int | None = None
    is_fused: bool = False
    num_classes: int | None = None


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


def resolve_readings(model: ModelSource, like: Like, *, dialect: str = "auto") -> Resolution:
    """Choose the reading of every attention row whose parameter count equals that of a fork.

    Args:
        model: Path of a model file, a bundled name, or a model file that was read before.
        like: The table that the fork printed for this file (a text file, such as a log), the total number of
            parameters, or a state dict with keys `model.{row}.…`.
        dialect: Dialect of attention rows, which is tried first.

    Raises:
        ModelFileError: If the model file cannot be read, or the table belongs to another file.
        OptionError: If `like` cannot be read.
        UnknownNameError: If the dialect is unknown.

    Example:
        >>> print(resolve_readings("yolov5s_CBAM", 7_268_800).choices[0])
        row 9: CBAM [1024, 16, 7] is read as CBAM [1024, {reduction: 16, kernel_size: 7, variant: biased}]
    """
    file = load_model_file(model)
    counts = _counts(like, file)
    plan = plan_model(file, num_classes=counts.num_classes, dialect=dialect, tolerant=True)
    chosen = _choose_by_row(plan, counts) if counts.rows else _choose_by_total(plan, counts)
    text = _rewrite(file.text, chosen)
    resolved = read_model_file(text, file.name) if chosen else file
    final = plan_model(resolved, num_classes=counts.num_classes, dialect=dialect, tolerant=True)
    return Resolution(
        resolved,
        tuple(_describe(file.rows[row], variation.row) for row, variation in chosen.items()),
        tuple(_unexplained_rows(final, counts) if counts.rows else _unexplained_total(final, counts)),
        counts.num_classes,
    )


def _counts(like: Like, file: ModelFile) -> ParameterCounts:
    if isinstance(like, Mapping):
        return ParameterCounts("the checkpoint", _count_tensors(like))
    table = like if isinstance(like, PrintedTable) else load_printed_table(like)
    if table.rows:
        _require_same_rows(table, file)
    rows = {index: row.parameters for index, row in enumerate(table.rows)}
    return ParameterCounts("the printed table", rows, table.total, table.is_fused, table.num_classes)


def _count_tensors(tensors: Mapping[str, Tensor]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for key, tensor in tensors.items():
        match key.split("."):
            case ["model", index, *_, name] if index.isdecimal() and name not in _BUFFERS:
                counts[int(index)] = counts.get(int(index), 0) + tensor.numel()
            case _:
                pass
    return counts


def _require_same_rows(table: PrintedTable, file: ModelFile) -> None:
    if len(table.rows) != len(file.rows):
        message = f"the printed table has {len(table.rows)} rows, but the file has {len(file.rows)}"
        raise ModelFileError(message, where=file.rows[-1].location, remedy="use the table of this model file")
    for row, printed in zip(file.rows, table.rows, strict=True):
        if normalize_name(row.module.rpartition(".")[2]) != normalize_name(printed.module):
            message = f"row {row.index} is {printed.module} in the printed table, but {row.module} in the file"
            raise ModelFileError(message, where=row.location, remedy="use the table of this model file")


def _choose_by_row(plan: ModelPlan, counts: ParameterCounts) -> dict[int, Variation]:
    chosen: dict[int, Variation] = {}
    readings: dict[str, str] = {}
    for planned in plan.rows:
        row = planned.row
        count = counts.rows.get(row.index)
        if count is None or planned.unknown or planned.parameters == count:
            continue
        matching = [variation for variation, parameters in buildable_variations(plan, planned) if parameters == count]
        # A file comes from one fork, so its rows with the same module are read in the same way where possible.
        matching.sort(key=lambda variation: variation.reading != readings.get(row.module))
        if matching:
            chosen[row.index] = matching[0]
            readings[row.module] = matching[0].reading
    return chosen


def _choose_by_total(plan: ModelPlan, counts: ParameterCounts) -> dict[int, Variation]:
    """Return the only combination of readings with the total; one reading for all rows with the same module."""
    groups: dict[str, list[PlannedRow]] = {}
    for planned in plan.rows:
        groups.setdefault(planned.row.module, []).append(planned)
    choices = [_group_choices(plan, rows) for rows in groups.values()]
    choices = [group for group in choices if len(group) > 1]
    missing = (counts.total or 0) - _total(plan, is_fused=counts.is_fused)
    sizes = itertools.accumulate((len(group) for group in choices), lambda product, size: product * size, initial=1)
    if missing == 0 or max(sizes) > _MAX_COMBINATIONS:
        return {}
    matching = [
        combination
        for combination in itertools.product(*choices)
        if sum(additional for additional, _ in combination) == missing
    ]
    if len(matching) != 1:
        return {}
    return {row: variation for _, variations_of_group in matching[0] for row, variation in variations_of_group.items()}


def _group_choices(plan: ModelPlan, rows: Sequence[PlannedRow]) -> list[tuple[int, dict[int, Variation]]]:
    """Return the readings that all of these rows have: the additional parameters, and the variation of each row."""
    by_reading: dict[str, dict[int, tuple[Variation, int]]] = {}
    for planned in rows:
        for variation, parameters in buildable_variations(plan, planned):
            additional = (variation, parameters - planned.parameters)
            by_reading.setdefault(variation.reading, {}).setdefault(planned.row.index, additional)
    choices: dict[int, dict[int, Variation]] = {0: {}}
    for of_rows in by_reading.values():
        additional = sum(parameters for _, parameters in of_rows.values())
        if len(of_rows) == len(rows):
            choices.setdefault(additional, {row: variation for row, (variation, _) in of_rows.items()})
    return list(choices.items())


def _total(plan: ModelPlan, *, is_fused: bool) -> int:
    total = sum(planned.parameters for planned in plan.rows)
    if not is_fused:
        return total
    with torch.device("meta"):
        convolutions = [module for row in plan.create_modules() for module in row.modules() if isinstance(module, Conv)]
    # A batch norm has a weight and a bias per channel; the merged convolution has a bias.
    return total - sum(module.conv.out_channels for module in convolutions)


def _unexplained_rows(plan: ModelPlan, counts: ParameterCounts) -> Iterator[Finding]:
    for planned in plan.rows:
        row, count = planned.row, counts.rows.get(planned.row.index)
        if count is None or planned.unknown or planned.parameters == count:
            continue
        known = sorted({planned.parameters, *(parameters for _, parameters in buildable_variations(plan, planned))})
        message = (
            f"{row.module} has {count:,} parameters in {counts.source}; known readings of the row have "
            f"{', '.join(f'{parameters:,}' for parameters in known)}"
        )
        yield Finding("unexplained", message, "the fork builds another module", row.location, row.index)


def _unexplained_total(plan: ModelPlan, counts: ParameterCounts) -> Iterator[Finding]:
    total = _total(plan, is_fused=counts.is_fused)
    if counts.total is not None and total != counts.total:
        message = (
            f"the fork's model has {counts.total:,} parameters, this one {total:,}, and no single reading explains it"
        )
        yield Finding("unexplained", message, "give the whole printed table", plan.rows[-1].row.location)


def _rewrite(text: str, chosen: Mapping[int, Variation]) -> str:
    """Return the text with the modules and arguments of the chosen rows, from the last to the first."""
    for _, variation in sorted(chosen.items(), reverse=True):
        row = variation.row
        for (start, end), new in ((row.args_span, flow_text(list(row.args))), (row.module_span, row.module)):
            line_end = "\n" if text[start:end].endswith("\n") else ""
            text = f"{text[:start]}{new}{line_end}{text[end:]}"
    return text


def _describe(old: LayerRow, new: LayerRow) -> str:
    before, after = (f"{row.module} {flow_text(list(row.args))}" for row in (old, new))
    return f"row {old.index}: {before} is read as {after}"
