"""A report as one HTML page that needs nothing else: figures are inside, and nothing is fetched or run."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from attendet.study.reporting.outcome import StudyReport
from attendet.study.reporting.sections import Section, Table, report_sections
from attendet.utils.text import printable

# Characters of a cell beyond which it may take several lines.
LONG = 60
STYLE = """
:root { color-scheme: light; --ink: #222; --faint: #6b6b6b; --line: #e4e4e4; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; color: var(--ink); background: #fff;
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
ul { padding: 0; list-style: none; }
li { margin: .5rem 0; padding: .5rem .9rem; border-left: 4px solid #9a9a9a; background: #f7f7f7; }
li.helps { border-color: #009e73; }
li.hurts { border-color: #d55e00; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top;
         white-space: nowrap; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 20rem; }
th { color: var(--faint); font-weight: 600; }
td:first-child { font-weight: 600; }
img { display: block; max-width: 100%; height: auto; margin: 1rem 0; }
"""


def html_report(report: StudyReport, figures: Mapping[str, Path]) -> str:
    """Return the HTML of a report.

    Args:
        report: What to tell.
        figures: By name, PNG files to take in.
    """
    title = f"Study: {_plain(report.name)}"
    body = "\n".join(part for section in report_sections(report) for part in _section(section, report, figures))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section, report: StudyReport, figures: Mapping[str, Path]) -> Iterator[str]:
    yield f"<h2>{_plain(section.title)}</h2>"
    for paragraph in section.paragraphs:
        yield f"<p>{_plain(paragraph)}</p>"
    if section.points:
        kinds = [each.verdict for each in report.contrasts] if section.title == "Verdicts" else []
        yield "<ul>"
        for number, point in enumerate(section.points):
            kind = kinds[number] if number < len(kinds) and " " not in kinds[number] else "open"
            yield f'<li class="{kind}">{_plain(point)}</li>'
        yield "</ul>"
    if section.table:
        yield _table(section.table)
    figure = figures.get(section.figure or "")
    if figure:
        content = base64.b64encode(figure.read_bytes()).decode("ascii")
        yield f'<img alt="{_plain(section.title)}" src="data:image/png;base64,{content}">'


def _table(of: Table) -> str:
    header = "".join(f"<th>{_plain(word)}</th>" for word in of.header)
    rows = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in of.rows)
    return f'<div class="table"><table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _cell(text: str) -> str:
    return f'<td class="long">{_plain(text)}</td>' if len(text) > LONG else f"<td>{_plain(text)}</td>"


def _plain(text: str) -> str:
    return escape(printable(text))
