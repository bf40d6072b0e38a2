"""Correct row numbers, and prove that the correction is one by planning the corrected file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice

from attendet.errors import ModelFileError
from attendet.models.findings import LintKind
from attendet.models.lint.shifts import (
    Corrections,
    Shifts,
    attention_chain,
    references_of,
    shifted_references,
)
from attendet.models.lint.structure import live_rows, structural_faults
from attendet.models.lint.unknown_layouts import consistent_corrections
from attendet.models.planning import ModelPlan, replan
from attendet.models.yaml.model_file import read_model_file

# Faults of connections, which other row numbers can correct.
_WIRING: frozenset[LintKind] = frozenset(
    ("dead-row", "dead-attention", "detect-strides", "detect-input", "unequal-concat")
)
_MAX_TRIES = 8


@dataclass(frozen=True)
class Rewiring:
    """A file with corrected row numbers.

    Attributes:
        plan: The plan of the corrected file.
        changes: The corrected references of the file as it was, and the rows that they mean.
    """

    plan: ModelPlan
    changes: Corrections


def correct_shifts(plan: ModelPlan) -> Rewiring | None:
    """Return the file with corrected row numbers if an insertion shifted some of them; otherwise None.

    A correction is accepted if the corrected file has fewer faults of connections, or no others. In a file of another
    layout, it has to remove all of them.
    """
    faults = _wiring_faults(plan)
    by_layout = shifted_references(plan)
    guesses = consistent_corrections(plan) if faults and not by_layout else ()
    for shifts in islice(chain(by_layout, guesses), _MAX_TRIES):
        if not shifts.corrections:
            return None
        rewiring = _rewire(plan, _with_attention_before_head(plan, shifts))
        if rewiring is None:
            continue
        remaining = _wiring_faults(rewiring.plan)
        if not remaining or (by_layout and (remaining <= faults or len(remaining) < len(faults))):
            return rewiring
    return None


def read_unread_attention(plan: ModelPlan) -> Rewiring | None:
    """Return the file in which the head reads attention that was appended to its inputs; None without any."""
    changes = _with_attention_before_head(plan, Shifts({}, frozenset()))
    return _rewire(plan, changes) if changes else None


def _wiring_faults(plan: ModelPlan) -> frozenset[tuple[LintKind, int | None]]:
    findings = (*plan.findings, *structural_faults(plan))
    return frozenset((finding.kind, finding.row) for finding in findings if finding.kind in _WIRING)


def _rewire(plan: ModelPlan, changes: Corrections) -> Rewiring | None:
    text = plan.file.text
    # From the last to the first, so that places stay valid.
    for ref in sorted(changes, key=lambda ref: ref.source.span, reverse=True):
        start, end = ref.source.span
        text = f"{text[:start]}{changes[ref]}{text[end:]}"
    try:
        return Rewiring(replan(plan, read_model_file(text, plan.file.name)), changes)
    except ModelFileError:
        # A row would read a later row.
        return None


def _with_attention_before_head(plan: ModelPlan, shifts: Shifts) -> Corrections:
    """Let the head read the attention behind the rows that it reads if attention has no effect otherwise.

    If row numbers of the head are corrected, attention was inserted before it, and it reads all of it.
    """
    refs = references_of(plan, len(plan.rows) - 1)
    read = {ref: shifts.corrections.get(ref, ref.source.row) for ref in refs}
    ends = {ref: attention_chain(plan, row, shifts.inserted)[-1] for ref, row in read.items() if row >= 0}
    live = live_rows(plan, {(ref.row, ref.position): row for ref, row in shifts.corrections.items()})
    unread = {ref: end for ref, end in ends.items() if end not in live}
    if not unread:
        return shifts.corrections
    is_shifted = any(ref in shifts.corrections for ref in refs)
    changes = {**shifts.corrections, **(ends if is_shifted else unread)}
    return {ref: row for ref, row in changes.items() if row != ref.source.row}
