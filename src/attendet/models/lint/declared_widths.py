"""Declared widths that fit only without scaling, in files of forks that do not scale the widths of attention rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attendet.models.findings import Finding
from attendet.models.planning import ModelPlan, replan
from attendet.models.yaml.dialects import find_dialect

_UNSCALED = "unscaled"


def explain_widths(plan: ModelPlan, findings: Sequence[Finding]) -> list[Finding]:
    """Turn faults of declared widths into remarks if the dialect `unscaled` reads the whole file without such faults.

    The module is the same in both readings, because it gets as many channels as its input has.
    """
    widths = [finding for finding in findings if finding.kind == "width"]
    if not widths or plan.options.dialect is not None:
        return list(findings)
    unscaled = replan(replace(plan, options=replace(plan.options, dialect=find_dialect(_UNSCALED))), plan.file)
    faults = {(finding.kind, finding.row) for finding in plan.findings if finding.kind != "width"}
    if any((finding.kind, finding.row) not in faults for finding in unscaled.findings if finding.is_fault):
        return list(findings)
    return [_as_remark(plan, finding) if finding in widths else finding for finding in findings]


def _as_remark(plan: ModelPlan, finding: Finding) -> Finding:
    row = plan.rows[finding.row or 0].row
    message = f"{row.module} declares {row.args[0]} channels, the number of its input if widths are not scaled"
    return replace(finding, kind="unscaled-width", message=message, remedy=f"name the dialect `{_UNSCALED}`")
