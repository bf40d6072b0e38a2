"""Collect all findings about a planned model file."""

from __future__ import annotations

from attendet.models.findings import Finding
from attendet.models.lint.shifts import shifted_references
from attendet.models.lint.structure import structural_faults
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.yaml.lookup import load_model_file

# Most community files are YOLOv5 with inserted rows. All sizes of YOLOv5 have the same rows.
_ORIGINAL = "yolov5n"


def original_plan() -> ModelPlan:
    """Return the plan of YOLOv5 without attention."""
    return plan_model(_ORIGINAL)


def examine(plan: ModelPlan) -> list[Finding]:
    """Return the findings about single rows, connections, and shifted row numbers, in the order of the rows.

    Args:
        plan: A plan with `tolerant`, so that rows that cannot be built are among the findings.
    """
    findings = [*plan.findings, *structural_faults(plan)]
    # With as many rows as YOLOv5, or fewer, nothing was inserted.
    if len(plan.rows) > len(load_model_file(_ORIGINAL).rows):
        findings += shifted_references(plan, original_plan())
    return sorted(findings, key=lambda finding: (finding.row is None, finding.row or 0))
