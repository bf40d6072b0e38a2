"""The page docs/reliability.md, whose table is between two marks."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.tally import FuzzRecord
from tests.helpers.tools import load_tool

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
RECORD = Path(__file__).with_name("record.json")
"""The result of the last long run."""

_MARKS = ("<!-- fuzz table: begin -->", "<!-- fuzz table: end -->")


def page() -> str:
    """Return the whole page with the table of the last long run."""
    text: str = load_tool("marks").between_marks(PAGE, _MARKS, FuzzRecord.read(RECORD).table())
    return text
