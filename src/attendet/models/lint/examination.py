"""Everything there is to say about a planned model file."""

from __future__ import annotations

from attendet.models.findings import Finding
from attendet.models.lint.shifts import shifted_references
from attendet.models.lint.structure import faults_of_structure
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.yaml.lookup import load_model_file

# Most community files are YOLOv5 with rows inserted; all sizes have the same rows.
ORIGINAL = "yolov5n"


def original_plan() -> ModelPlan:
    """Return the plan of plain YOLOv5."""
    return plan_model(load_model_file(ORIGINAL))


def examine(planned: ModelPlan) -> list[Finding]:
    """Return what the rows, their joints and a comparison with plain YOLOv5 tell, in the order of the rows."""
    found = [*planned.findings, *faults_of_structure(planned)]
    if len(planned.rows) > len(load_model_file(ORIGINAL).rows):
        # Only where there are more rows can some have been inserted.
        found += shifted_references(planned, original_plan())
    return sorted(found, key=lambda finding: (finding.row is None, finding.row or 0))
