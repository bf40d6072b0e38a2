"""Findings of a check of a model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attendet.errors import Location

LintKind = Literal[
    "unbuildable",
    "unexplained",
    "dead-row",
    "dead-attention",
    "detect-strides",
    "detect-order",
    "detect-input",
    "shifted-index",
    "unequal-concat",
    "width",
    "bottleneck",
    "repeats",
    "unknown-key",
    "anchors",
    "unchecked",
    "unscaled-width",
    "size",
    "class-branch",
]
# Remarks about a file that needs no correction.
_REMARKS: frozenset[LintKind] = frozenset(
    ("repeats", "unknown-key", "anchors", "unchecked", "unscaled-width", "size", "class-branch")
)


@dataclass(frozen=True)
class Finding:
    """A fault of a model file, or a remark about it.

    Attributes:
        kind: Kind of the finding, such as `dead-row`.
        message: The problem and why it matters.
        remedy: How to fix it.
        where: The place in the file.
        row: Index of the row; None if the finding is about the whole file.

    Example:
        >>> finding = Finding("width", "CBAM declares 256 channels", "declare 512", Location("a.yaml", 9, 5), row=9)
        >>> print(finding)
        a.yaml:9:5: row 9: CBAM declares 256 channels; declare 512
        >>> finding.is_fault
        True
    """

    kind: LintKind
    message: str
    remedy: str
    where: Location
    row: int | None = None

    @property
    def is_fault(self) -> bool:
        """Whether the file should be corrected; False for a remark."""
        return self.kind not in _REMARKS

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "is_fault": self.is_fault,
            "message": self.message,
            "remedy": self.remedy,
            "where": str(self.where),
            "row": self.row,
        }

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}: "
        return f"{self.where}: {row}{self.message}; {self.remedy}"
