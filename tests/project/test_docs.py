"""Generated pages are up to date."""

from pathlib import Path

import pytest

from tests.helpers.tools import load_tool


def test_the_summaries_are_up_to_date() -> None:
    summaries = load_tool("summaries")
    assert summaries.TARGET.read_text(encoding="utf-8") == summaries.page(), "run make docs"


def test_the_pages_of_studies_match_their_records() -> None:
    studies = load_tool("studies")
    for folder in studies.folders():
        assert studies.page_of(folder).read_text(encoding="utf-8") == studies.page(folder), "run make docs"


def test_the_insertion_table_is_up_to_date() -> None:
    table = load_tool("insertion_table")
    assert table.TARGET.read_text(encoding="utf-8") == table.page(), "run make docs"


def test_only_text_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("mine\n<!-- a -->\nold\n<!-- b -->\nmine too\n", encoding="utf-8")
    between_marks = load_tool("marks").between_marks
    written = between_marks(page, ("<!-- a -->", "<!-- b -->"), "new\n")
    assert written == "mine\n<!-- a -->\n\nnew\n\n<!-- b -->\nmine too\n"
    for begin, end in (("<!-- a -->", "<!-- c -->"), ("<!-- c -->", "<!-- b -->"), ("<!-- b -->", "<!-- a -->")):
        with pytest.raises(SystemExit, match=f"no place for the generated text; write {begin} and {end}"):
            between_marks(page, (begin, end), "new\n")


def test_the_python_api_is_up_to_date() -> None:
    api = load_tool("api_page")
    assert api.TARGET.read_text(encoding="utf-8") == api.page(), "run make docs"
