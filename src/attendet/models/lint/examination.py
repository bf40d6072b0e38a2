"""Collect all findings about a planned model file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from attendet.models.findings import Finding
from attendet.models.lint.declared_widths import explain_widths
from attendet.models.lint.rewiring import Rewiring, correct_shifts, read_unread_attention
from attendet.models.lint.structure import structural_faults
from attendet.models.planning import ModelPlan


def examine(plan: ModelPlan) -> list[Finding]:
    """Return the findings about single rows, connections, and shifted row numbers.

    Shifted row numbers come first, then the faults that follow from them, then all others; each in the order of rows.

    Args:
        plan: A plan with `tolerant`, so that rows that cannot be built are among the findings.
    """
    findings = _findings_as_written(plan)
    rewiring = correct_shifts(plan)
    if rewiring is None:
        return _with_rows_to_read(plan, findings)
    remaining = {(finding.kind, finding.row) for finding in _findings_as_written(rewiring.plan)}
    others = [finding for finding in findings if (finding.kind, finding.row) in remaining]
    consequences = [
        replace(finding, remedy="this follows from the shifted row numbers")
        for finding in findings
        if (finding.kind, finding.row) not in remaining
    ]
    return [*_shifted_rows(plan, rewiring), *consequences, *others]


def _findings_as_written(plan: ModelPlan) -> list[Finding]:
    findings = explain_widths(plan, [*plan.findings, *structural_faults(plan)])
    return sorted(findings, key=lambda finding: (finding.row is None, finding.row or 0))


def _shifted_rows(plan: ModelPlan, rewiring: Rewiring) -> Iterator[Finding]:
    for reader, refs in groupby(sorted(rewiring.changes, key=lambda ref: (ref.row, ref.position)), lambda ref: ref.row):
        row, changed = plan.rows[reader].row, list(refs)
        old, new = (
            _numbers([ref.source.written for ref in changed]),
            _numbers([rewiring.changes[ref] for ref in changed]),
        )
        numbers = "the row number" if len(changed) == 1 else "the row numbers"
        message = f"{row.module} still reads {old}, {numbers} before rows were inserted"
        yield Finding("shifted-index", message, f"read {new}", row.location, row.index)


def _with_rows_to_read(plan: ModelPlan, findings: Sequence[Finding]) -> list[Finding]:
    """Name the row that the head has to read in the remedies for attention that it does not read."""
    rewiring = read_unread_attention(plan)
    if rewiring is None:
        return list(findings)
    head = plan.rows[-1].row.module
    remedies = {
        row: f"let {head} read row {row} instead of row {ref.source.row}" for ref, row in rewiring.changes.items()
    }
    return [
        replace(finding, remedy=remedies[finding.row])
        if finding.kind == "dead-attention" and finding.row in remedies
        else finding
        for finding in findings
    ]


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
