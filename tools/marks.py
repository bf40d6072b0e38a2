"""What a page has between two marks is written by programs, and the rest by people."""

from __future__ import annotations

from pathlib import Path


def between_marks(page: Path, marks: tuple[str, str], text: str) -> str:
    """Return a page with another text between its marks.

    Args:
        page: The file.
        marks: Comments that stand in it where the text begins and ends.
        text: What goes between them; it ends with the end of a line.

    Raises:
        SystemExit: If one of them is not there: whatever follows the other would be lost.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise SystemExit(f"{page} has no place for what is written; write {marks[0]} and {marks[1]} into it")
    return f"{before}{begin}\n\n{text}\n{end}{after}"
