"""The report of a study as one HTML page that contains its figures; it fetches nothing and runs no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from attendet.study.reporting.outcome import StudyReport
from attendet.study.reporting.sections import Section, report_sections
from attendet.utils.html import escape, html_table, inline_image, page_end, page_start

_STYLE = """\
body { max-width: 68rem; }
h2 { margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; }
ul { padding: 0; list-style: none; }
li { margin: .5rem 0; padding: .5rem .9rem; border-left: 4px solid #9a9a9a; background: var(--panel); }
li.helps { border-color: #009e73; }
li.hurts { border-color: #d55e00; }
td:first-child { font-weight: 600; }
img, .table { margin: 1rem 0; }
"""


def html_report(report: StudyReport, figures: Mapping[str, Path]) -> str:
    """Return the HTML page of a report.

    Args:
        report: The report.
        figures: PNG files by the names of the figures.
    """
    title = f"Study: {report.name}"
    sections = "\n".join(part for section in report_sections(report) for part in _section(section, report, figures))
    return f"{page_start(title, style=_STYLE)}<h1>{escape(title)}</h1>\n{sections}\n{page_end()}"


def _section(section: Section, report: StudyReport, figures: Mapping[str, Path]) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    for paragraph in section.paragraphs:
        yield f"<p>{escape(paragraph)}</p>"
    if section.points:
        verdicts = [each.verdict for each in report.contrasts] if section.title == "Verdicts" else []
        yield "<ul>"
        for number, point in enumerate(section.points):
            # A verdict of several words, such as "no difference", has the color of an open question.
            kind = verdicts[number] if number < len(verdicts) and " " not in verdicts[number] else "open"
            yield f'<li class="{kind}">{escape(point)}</li>'
        yield "</ul>"
    if section.table:
        yield html_table(section.table.header, section.table.rows, label=section.title)
    figure = figures.get(section.figure or "")
    if figure:
        yield inline_image(figure.read_bytes(), section.title)
