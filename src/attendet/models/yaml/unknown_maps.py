"""Plan rows that depend on a row that cannot be built, whose feature map is therefore unknown.

No fault may be an assumption about the input of a row. Such a row is planned twice, with two inputs that differ in
everything unknown, and only the common findings and shapes of both plans are facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attendet.attention.catalog import attentions
from attendet.models.composites.block_names import joins_maps
from attendet.models.findings import Finding
from attendet.models.yaml.model_file import MAX_WIDTH, LayerRow
from attendet.models.yaml.row_planning import PlannedRow, PlanOptions, RowError, ShapePart, plan_row


@dataclass(frozen=True)
class SourceMap:
    """A feature map that a row reads; its number of channels, its size, or both may be assumptions.

    Attributes:
        tensor: The map (1, channels, height, width) on the meta device.
        unknown: The parts of its shape that are assumed.
    """

    tensor: Tensor
    unknown: frozenset[ShapePart] = frozenset()


def plan_row_tolerantly(row: LayerRow, sources: Sequence[SourceMap], options: PlanOptions) -> PlannedRow:
    """Plan a row; if it cannot be built, report that as a finding, with an unknown feature map as output.

    Args:
        row: The row.
        sources: The feature maps that it reads.
        options: The settings that all rows share.

    Returns:
        The planned row. If parts of its sources are unknown, it has only those findings that do not depend on them.
    """
    joins = len(sources) > 1 and joins_maps(row.module)
    maps = _with_equal_sizes(sources) if joins else sources
    planned = _attempt(row, [source.tensor for source in maps], options)
    if any(source.unknown for source in maps):
        planned = _common(planned, _attempt(row, [_other_map(source) for source in maps], options))
    if joins and any("size" in source.unknown for source in sources):
        planned = replace(planned, unknown=planned.unknown | {"size"})
    return planned


def _with_equal_sizes(sources: Sequence[SourceMap]) -> list[SourceMap]:
    """Give maps of unknown size the size of the others, because only maps of equal size can be joined."""
    known = next((source for source in sources if "size" not in source.unknown), sources[0])
    size = known.tensor.shape[2:]
    return [
        SourceMap(_meta(source.tensor.shape[1], *size), source.unknown - {"size"})
        if "size" in source.unknown
        else source
        for source in sources
    ]


def _attempt(row: LayerRow, sources: Sequence[Tensor], options: PlanOptions) -> PlannedRow:
    try:
        return plan_row(row, sources, options)
    except RowError as error:
        return PlannedRow(
            row, (_assumed_output(sources),), findings=(error.finding,), unknown=_unknown_parts(row, error.finding)
        )


def _unknown_parts(row: LayerRow, finding: Finding) -> frozenset[ShapePart]:
    """Return the parts of the shape of an output that are unknown if its row cannot be built."""
    if finding.kind == "unequal-concat":
        return frozenset(("size",))
    keeps_shape = row.module in attentions and len(row.sources) == 1
    return frozenset() if keeps_shape else frozenset(("channels", "size"))


def _assumed_output(sources: Sequence[Tensor]) -> Tensor:
    """Return a feature map with the height and width of the first source and the channels of all of them."""
    channels = min(sum(source.shape[1] for source in sources), MAX_WIDTH)
    # The outputs of a head have a fifth axis.
    return _meta(channels, *sources[0].shape[2:4])


def _other_map(source: SourceMap) -> Tensor:
    """Return a map that differs from the source in everything that is unknown."""
    channels, height, width = source.tensor.shape[1:4]
    if "channels" in source.unknown:
        channels = channels * 2 if channels * 2 <= MAX_WIDTH else channels // 2
    if "size" in source.unknown:
        height, width = height * 2, width * 2
    return _meta(channels, height, width)


def _common(one: PlannedRow, other: PlannedRow) -> PlannedRow:
    """Return the findings and the shape that two plans of a row with different inputs have in common."""
    unknown = one.unknown | other.unknown
    if one.shapes[0][1] != other.shapes[0][1]:
        unknown |= {"channels"}
    if one.shapes[0][2:] != other.shapes[0][2:]:
        unknown |= {"size"}
    agree = one.parameters == other.parameters
    return replace(
        # A row that can be built for one of the inputs only is not known to be buildable.
        one if other.kind is not None else other,
        outputs=one.outputs,
        unknown=unknown,
        findings=tuple(finding for finding in one.findings if finding in other.findings),
        parameters=one.parameters if agree else 0,
        modules=one.modules if agree else 0,
    )


def _meta(channels: int, height: int, width: int) -> Tensor:
    return torch.empty(1, channels, height, width, device="meta")
