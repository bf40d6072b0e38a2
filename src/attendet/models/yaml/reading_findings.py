"""Findings about how the arguments of an attention row are read."""

from __future__ import annotations

from attendet.blocks.wiring import BlockRequest, split_options
from attendet.models.findings import Finding
from attendet.models.yaml.argument_orders import MIN_WIDTH
from attendet.models.yaml.dialects import REPEATED, Dialect, Reading
from attendet.models.yaml.model_file import LayerRow


def argument_findings(
    row: LayerRow, request: BlockRequest, reading: Reading | None, dialect: Dialect | None
) -> list[Finding]:
    """Return the faults and remarks about the arguments of an attention row.

    Args:
        row: The row.
        request: The arguments of the row, and the channels of its input.
        reading: How the arguments are read; None for rows of other blocks, which have no findings.
        dialect: The dialect; None for `auto`.
    """
    if reading is None:
        return []
    channels = request.channels[0]
    findings = [bottleneck_finding(row, doubt, channels) for doubt in reading.doubts]
    if reading.width not in (None, channels):
        scaled = dialect is None or dialect.scaled
        width = f"{reading.width} channels{' after scaling' if scaled else ''}"
        message = f"{row.module} declares {width}, but its input has {channels}"
        remedy = _width_remedy(request, dialect)
        findings.append(Finding("width", message, remedy, row.location, row.index))
    if row.number > 1 and REPEATED not in split_options(row.args)[1]:
        repeated = dialect is not None and dialect.repeats
        count = f"{request.repeats} modules in a row" if repeated else "one module"
        message = f"forks disagree about {row.number} repeats of {row.module}; attendet builds {count}"
        remedy = f"write 1, or {{{REPEATED}: true}} as the last argument"
        findings.append(Finding("repeats", message, remedy, row.location, row.index))
    return findings


def _width_remedy(request: BlockRequest, dialect: Dialect | None) -> str:
    channels = request.channels[0]
    if dialect is not None and not dialect.scaled:
        return f"declare {channels}"
    declared = int(channels / request.width_multiple)
    fits = declared >= MIN_WIDTH and request.scale(declared) == channels
    return f"declare {declared}" if fits else "declare no width"


def bottleneck_finding(row: LayerRow, doubt: str, channels: int) -> Finding:
    """Return the fault of attention with too few hidden channels, or with a doubtful ratio.

    Args:
        row: The row.
        doubt: The problem, and the remedy after a semicolon if there is one.
        channels: Number of channels of the input.
    """
    message, _, remedy = doubt.partition("; ")
    # The largest usual ratio that leaves four hidden channels.
    ratio = next((ratio for ratio in (16, 8, 4) if channels >= 4 * ratio), 2)
    remedy = remedy or f"use a ratio of {ratio}"
    return Finding("bottleneck", f"{row.module}: {message}", remedy, row.location, row.index)
