"""Write report.json, report.md, report.html, and figures from the records of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attendet.study.folder import StudyFolder, StudyRecords, read_study
from attendet.study.ledger import current_look, read_ledger, record_look, require_same_looks
from attendet.study.reporting.design_history import dropped_arms
from attendet.study.reporting.figures import draw_figures
from attendet.study.reporting.outcome import StudyReport, contrast_verdicts, make_study_report
from attendet.study.reporting.report_tables import Table
from attendet.study.reporting.sections import Section, report_sections
from attendet.utils.html import Markup, escape, html_table, inline_image, page_end, page_start
from attendet.utils.io import write_json, write_text
from attendet.utils.text import printable

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


@dataclass(frozen=True)
class Published:
    """A report and its files.

    Attributes:
        report: The report.
        json: Path of report.json.
        markdown: Path of report.md.
        html: Path of report.html.
        figures: Paths of the figures by name.
    """

    report: StudyReport
    json: Path
    markdown: Path
    html: Path
    figures: Mapping[str, Path]

    def to_dict(self) -> dict[str, Any]:
        """Return the report and the paths of its files as plain values, ready for JSON."""
        return {
            "report": self.report.to_dict(),
            "json": str(self.json),
            "markdown": str(self.markdown),
            "html": str(self.html),
            "figures": {name: str(path) for name, path in self.figures.items()},
        }

    def _repr_html_(self) -> Markup:
        """Return the verdicts and the paths of the files as tables, for notebooks."""
        files = {"json": self.json, "markdown": self.markdown, "html": self.html, **self.figures}
        rows = [(name, str(path)) for name, path in files.items()]
        return Markup(self.report._repr_html_() + html_table(("file", "path"), rows, label="files"))


def publish_report(study: StudyFolder, out: Path | None = None, *, new_question: bool = False) -> Published:
    """Write the report of a study, and record the look in its ledger.

    Args:
        study: Files of the study.
        out: Folder for the report (default: the folder of the study).
        new_question: Declare a new question: arms that were run but are not in the design no longer count.

    Raises:
        DataError: If the folder holds no study.
        OutputError: If the report cannot be written.
    """
    folder = study.path if out is None else out
    records = read_study(study)
    report = look_at(study, records, new_question=new_question)
    figures = draw_figures(report, records, folder / "figures")
    relative = {name: path.relative_to(folder).as_posix() for name, path in figures.items()}
    write_json(folder / "report.json", report.to_dict())
    write_text(folder / "report.md", markdown_report(report, relative))
    write_text(folder / "report.html", html_report(report, figures))
    return Published(report, folder / "report.json", folder / "report.md", folder / "report.html", figures)


def look_at(study: StudyFolder, records: StudyRecords, *, new_question: bool = False) -> StudyReport:
    """Return the report of a study, and record the look in its ledger.

    Args:
        study: Files of the study.
        records: Its records.
        new_question: Declare a new question: arms that were run but are not in the design no longer count.

    Raises:
        OptionError: If the planned looks changed since the first look.
        OutputError: If the ledger cannot be written.
    """
    ledger = read_ledger(study.ledger)
    look = current_look(records, {})
    if new_question and not ledger.has_declared(look):
        aside = tuple(sorted({*dropped_arms(records, ledger), *ledger.set_aside}))
        look = look.model_copy(update={"new_question": True, "set_aside": aside, "look": len(ledger.looks) + 1})
        ledger = replace(ledger, looks=(*ledger.looks, look))
    require_same_looks(records.study.design, ledger)
    report = make_study_report(records, ledger)
    verdicts = contrast_verdicts(report.contrasts)
    record_look(study.ledger, look.model_copy(update={"verdicts": verdicts}))
    return report


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
        yield from map(_plain, section.after)


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
            kind = _color_class(verdicts[number]) if number < len(verdicts) else "open"
            yield f'<li class="{kind}">{escape(point)}</li>'
        yield "</ul>"
    if section.table:
        yield html_table(section.table.header, section.table.rows, label=section.title)
    figure = figures.get(section.figure or "")
    if figure:
        yield inline_image(figure.read_bytes(), section.title)
    for paragraph in section.after:
        yield f"<p>{escape(paragraph)}</p>"


def _color_class(verdict: str) -> str:
    """Return the class of the style sheet for a verdict: helps, hurts, or open."""
    first = verdict.partition(" ")[0]
    return {"helps": "helps", "hurts": "hurts", "does": "hurts"}.get(first, "open")
