"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attendet.study.reporting.outcome import StudyReport
from attendet.study.reporting.sections import Table, report_sections
from attendet.utils.text import printable


def markdown_report(report: StudyReport, figures: Mapping[str, str]) -> str:
    """Return a report as Markdown.

    Args:
        report: The report.
        figures: Paths of the figures by name, relative to the folder of the Markdown file.
    """
    return "\n\n".join(_blocks(report, figures)) + "\n"


def _blocks(report: StudyReport, figures: Mapping[str, str]) -> Iterator[str]:
    yield f"# Study: {_plain(report.name)}"
    for section in report_sections(report):
        yield f"## {section.title}"
        yield from map(_plain, section.paragraphs)
        if section.points:
            yield "\n".join(f"- {_plain(point)}" for point in section.points)
        if section.table:
            yield markdown_table(section.table)
        figure = figures.get(section.figure or "")
        if figure:
            yield f"![{section.title}]({figure})"


def markdown_table(of: Table) -> str:
    r"""Return a table in Markdown.

    Example:
        >>> print(markdown_table(Table(("arm", "n"), (("a|b", "6"),))))
        | arm | n |
        |---|---|
        | a\|b | 6 |
    """
    rows = [of.header, *of.rows]
    lines = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(of.header), *lines[1:]])


def _plain(text: str) -> str:
    """Escape a text for Markdown: class names come from users, and GitHub also interprets HTML."""
    escaped = printable(text)
    for character in "\\`*|<>[]":
        escaped = escaped.replace(character, "\\" + character)
    return escaped
