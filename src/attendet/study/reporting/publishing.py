"""Write report.json, report.md, report.html, and figures from the records of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.study.folder import StudyFolder, read_study
from attendet.study.reporting.figures import draw_figures
from attendet.study.reporting.markdown import markdown_report
from attendet.study.reporting.outcome import StudyReport, make_study_report
from attendet.study.reporting.report_page import html_report
from attendet.utils.html import Markup, html_table
from attendet.utils.io import write_json, write_text


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


def publish_report(study: StudyFolder, out: Path | None = None) -> Published:
    """Write the report of a study.

    Args:
        study: Files of the study.
        out: Folder for the report (default: the folder of the study).

    Raises:
        DataError: If the folder holds no study.
        OutputError: If the report cannot be written.
    """
    folder = study.path if out is None else out
    records = read_study(study)
    report = make_study_report(records)
    figures = draw_figures(report, records, folder / "figures")
    relative = {name: path.relative_to(folder).as_posix() for name, path in figures.items()}
    write_json(folder / "report.json", report.to_dict())
    write_text(folder / "report.md", markdown_report(report, relative))
    write_text(folder / "report.html", html_report(report, figures))
    return Published(report, folder / "report.json", folder / "report.md", folder / "report.html", figures)
