"""Replace the generated part of a page, which is between two marks."""

from __future__ import annotations

from pathlib import Path


def between_marks(page: Path, marks: tuple[str, str], text: str) -> str:
    """Return a page with a new text between its marks.

    Args:
        page: Path of the page.
        marks: HTML comments before and after the generated text.
        text: The new text, with a final newline.

    Raises:
        SystemExit: If a mark is missing; otherwise the rest of the page would be lost.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise SystemExit(f"{page} has no place for the generated text; write {marks[0]} and {marks[1]} into it")
    return f"{before}{begin}\n\n{text}\n{end}{after}"
