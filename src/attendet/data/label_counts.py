"""How many images of a split have labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelCounts:
    """How many images of a split have labels.

    Attributes:
        found: Images with at least one object.
        empty: Images whose label file, or entry in a COCO file, has no objects.
        missing: Images without a label file, which count as background.
        invalid: Images that are left out because their labels cannot be understood.
        first_problem: The first missing or invalid labels, with their place; None without any.

    Example:
        >>> print(LabelCounts(found=8, missing=2, first_problem="a.txt: label file is missing"))
        labels: 8 found, 0 empty, 2 missing, 0 invalid (first: a.txt: label file is missing)
    """

    found: int = 0
    empty: int = 0
    missing: int = 0
    invalid: int = 0
    first_problem: str | None = None

    def __str__(self) -> str:
        text = f"labels: {self.found:,} found, {self.empty:,} empty, {self.missing:,} missing, {self.invalid:,} invalid"
        return text if self.first_problem is None else f"{text} (first: {self.first_problem})"
