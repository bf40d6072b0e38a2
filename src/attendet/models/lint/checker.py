"""Check model files for faults, and correct row numbers that an insertion shifted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attendet.models.findings import Finding
from attendet.models.lint.examination import examine
from attendet.models.lint.rewiring import correct_shifts, read_unread_attention
from attendet.models.lint.shifts import references
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.yaml.lookup import ModelSource, load_model_file


@dataclass(frozen=True)
class Correction:
    """A model file with corrected row numbers.

    Attributes:
        text: The text of the file; only row numbers differ from the original.
        changes: The corrected references, one sentence each; empty if nothing was corrected.
        remaining: Faults that remain.
    """

    text: str
    changes: tuple[str, ...]
    remaining: tuple[Finding, ...]


def check_model_file(model: ModelSource, *, dialect: str = "auto") -> list[Finding]:
    """Return the faults of a model file and the remarks about it.

    Shifted row numbers come first, then the faults that follow from them, then all others; each in the order of rows.

    Args:
        model: Path of a model file, a bundled name, or a model file that was read before.
        dialect: Dialect of attention rows: one of `attendet.models.yaml.DIALECT_NAMES`.

    Raises:
        ModelFileError: If the file cannot be read as a model file.
        UnknownNameError: If the dialect is unknown.

    Example:
        >>> check_model_file("yolov5s_CBAM")
        []
    """
    return examine(plan_model(model, dialect=dialect, tolerant=True))


def fix_model_file(model: ModelSource, *, dialect: str = "auto") -> Correction:
    """Correct the row numbers of a model file that an insertion shifted.

    Every row number that `check_model_file` calls shifted is corrected. The head is made to read attention that was
    appended to its inputs. Other faults remain.

    Args:
        model: Path of a model file, a bundled name, or a model file that was read before.
        dialect: Dialect of attention rows: one of `attendet.models.yaml.DIALECT_NAMES`.

    Raises:
        ModelFileError: If the file cannot be read as a model file.
        UnknownNameError: If the dialect is unknown.

    Example:
        >>> fix_model_file("yolov5s_CBAM").changes
        ()
    """
    return correct_plan(plan_model(load_model_file(model), dialect=dialect, tolerant=True))


def correct_plan(plan: ModelPlan) -> Correction:
    """Correct the row numbers of a planned model file, as `fix_model_file` does.

    Args:
        plan: A tolerant plan of the file.

    Example:
        >>> correct_plan(plan_model("yolov5s_CBAM", tolerant=True)).remaining
        ()
    """
    corrected = plan
    for correct in (correct_shifts, read_unread_attention):
        rewiring = correct(corrected)
        corrected = corrected if rewiring is None else rewiring.plan
    remaining = tuple(finding for finding in examine(corrected) if finding.is_fault)
    return Correction(corrected.file.text, tuple(_describe_changes(plan, corrected)), remaining)


def _describe_changes(plan: ModelPlan, corrected: ModelPlan) -> Iterator[str]:
    for before, after in zip(references(plan), references(corrected), strict=True):
        if before.source.row != after.source.row:
            row = plan.rows[before.row].row
            yield f"row {row.index}, {row.module}: reads {after.source.row} instead of {before.source.written}"
