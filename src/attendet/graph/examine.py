"""Everything there is to say about a planned model file."""

from __future__ import annotations

from attendet.graph.files import load
from attendet.graph.findings import Finding
from attendet.graph.plan import Plan, plan
from attendet.graph.shifts import shifted_references
from attendet.graph.structure import faults_of_structure

# Most community files are YOLOv5 with rows inserted; all sizes have the same rows.
ORIGINAL = "yolov5n"


def original_plan() -> Plan:
    """Return the plan of plain YOLOv5."""
    return plan(load(ORIGINAL))


def examine(planned: Plan) -> list[Finding]:
    """Return what the rows, their joints and a comparison with plain YOLOv5 tell, in the order of the rows."""
    found = [*planned.findings, *faults_of_structure(planned)]
    if len(planned.rows) > len(load(ORIGINAL).rows):
        # Only where there are more rows can some have been inserted.
        found += shifted_references(planned, original_plan())
    return sorted(found, key=lambda finding: (finding.row is None, finding.row or 0))
