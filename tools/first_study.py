"""Write the report in docs/studies/first.md, and its figures, from the records of the study.

python tools/first_study.py
"""

from __future__ import annotations

from pathlib import Path

from marks import between_marks

from attendet.study.folder import StudyFolder, read_study
from attendet.study.reporting.figures import draw_figures
from attendet.study.reporting.outcome import make_study_report
from attendet.study.reporting.publishing import markdown_report

PAGE = Path(__file__).parents[1] / "docs" / "studies" / "first.md"
RECORDS = PAGE.with_suffix("")
FIGURES = RECORDS / "figures"
MARKS = ("<!-- report: begin -->", "<!-- report: end -->")


def page() -> str:
    """Return the page with the current report of the records."""
    figures = {path.stem: path.relative_to(PAGE.parent).as_posix() for path in FIGURES.glob("*.png")}
    # The page has its own title.
    _, _, text = markdown_report(make_study_report(read_study(StudyFolder(RECORDS))), figures).partition("\n\n")
    return between_marks(PAGE, MARKS, text)


def main() -> None:
    """Draw the figures and write the page."""
    records = read_study(StudyFolder(RECORDS))
    draw_figures(make_study_report(records), records, FIGURES)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
