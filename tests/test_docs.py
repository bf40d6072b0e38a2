"""Pages that are written by the program are as it would write them now."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_summaries_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("summaries", ROOT / "tools" / "summaries.py")
    assert spec is not None
    assert spec.loader is not None
    summaries = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(summaries)
    assert summaries.TARGET.read_text(encoding="utf-8") == summaries.page(), "run make docs"
