"""Write the reports in docs/studies, and their figures, from the records of the studies.

python tools/studies.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from marks import between_marks

from attendet.study.folder import StudyFolder, read_study
from attendet.study.ledger import read_ledger
from attendet.study.reporting.figures import draw_figures
from attendet.study.reporting.outcome import StudyReport, make_study_report
from attendet.study.reporting.publishing import markdown_report

STUDIES = Path(__file__).parents[1] / "docs" / "studies"


def folders() -> Iterator[Path]:
    """Yield the folders of records that a page reports, in the order of their names."""
    yield from sorted(path.parent for path in STUDIES.glob("*/study.json"))


def page_of(folder: Path) -> Path:
    """Return the page that reports a study: `first.md` for `first`, and `second.md` for `second-cells`."""
    return STUDIES / f"{folder.name.partition('-')[0]}.md"


def marks_of(folder: Path) -> tuple[str, str]:
    """Return the marks of the report within its page."""
    _, _, part = folder.name.partition("-")
    name = f"report {part}" if part else "report"
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def report_of(folder: Path) -> StudyReport:
    """Return the report of the records, as a look that is not recorded."""
    study = StudyFolder(folder)
    return make_study_report(read_study(study), read_ledger(study.ledger))


def page(folder: Path) -> str:
    """Return the page of a study with the current report of its records."""
    figures = {path.stem: path.relative_to(STUDIES).as_posix() for path in sorted((folder / "figures").glob("*.png"))}
    # The page has its own title.
    _, _, text = markdown_report(report_of(folder), figures).partition("\n\n")
    return between_marks(page_of(folder), marks_of(folder), text)


def main() -> None:
    """Draw the figures and write the pages."""
    for folder in folders():
        draw_figures(report_of(folder), read_study(StudyFolder(folder)), folder / "figures")
        page_of(folder).write_text(page(folder), encoding="utf-8")


if __name__ == "__main__":
    main()
