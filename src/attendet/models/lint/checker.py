"""Check model files for faults, and correct row numbers that an insertion shifted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from attendet.models.findings import Finding, LintKind
from attendet.models.lint.examination import examine, original_plan
from attendet.models.lint.shifts import Reference, corrections
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.yaml.lookup import ModelSource, load_model_file
from attendet.models.yaml.model_file import ModelFile, read_model_file

# Faults that other row numbers cannot correct.
_UNRELATED_FAULTS: frozenset[LintKind] = frozenset(("bottleneck", "width", "detect-order", "unbuildable"))
_MAX_TRIES = 4


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
    """Return the faults of a model file and the remarks about it, in the order of its rows.

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

    Nothing is changed unless the correction removes every fault that shifted row numbers can cause.

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
    file = load_model_file(model)
    plan, faults = _find_faults(file, dialect)
    if any(fault.kind not in _UNRELATED_FAULTS for fault in faults):
        for pointing in islice(corrections(plan, original_plan()), _MAX_TRIES):
            text = _rewrite(file.text, pointing)
            _, remaining = _find_faults(read_model_file(text, file.name), dialect)
            if all(fault.kind in _UNRELATED_FAULTS for fault in remaining):
                return Correction(text, tuple(_describe_changes(plan, pointing)), tuple(remaining))
    return Correction(file.text, (), tuple(faults))


def _find_faults(file: ModelFile, dialect: str) -> tuple[ModelPlan, list[Finding]]:
    plan = plan_model(file, dialect=dialect, tolerant=True)
    return plan, [finding for finding in examine(plan) if finding.is_fault]


def _rewrite(text: str, pointing: Mapping[Reference, int]) -> str:
    """Return the text with the row numbers replaced, from the last to the first so that places stay valid."""
    for ref in sorted(pointing, key=lambda ref: ref.source.span, reverse=True):
        start, end = ref.source.span
        text = f"{text[:start]}{pointing[ref]}{text[end:]}"
    return text


def _describe_changes(plan: ModelPlan, pointing: Mapping[Reference, int]) -> list[str]:
    return [
        f"row {ref.row}, {plan.rows[ref.row].row.module}: reads {row} instead of {ref.source.written}"
        for ref, row in pointing.items()
    ]
