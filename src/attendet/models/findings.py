"""What a check of a model file finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attendet.errors import Location

LintKind = Literal[
    "unbuildable",
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
]
# Things to know of a file that is right as it stands.
REMARKS: frozenset[LintKind] = frozenset(("repeats", "unknown-key", "anchors"))


@dataclass(frozen=True)
class Finding:
    """One thing to say about a model file.

    Attributes:
        kind: The class of it.
        what: What is the case, and why.
        remedy: What to do.
        where: The place in the file.
        row: The row's number, where it is about one.
    """

    kind: LintKind
    what: str
    remedy: str
    where: Location
    row: int | None = None

    @property
    def is_fault(self) -> bool:
        """Whether the file should not be used like this."""
        return self.kind not in REMARKS

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}: "
        return f"{self.where}: {row}{self.what}; {self.remedy}"
