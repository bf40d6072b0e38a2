"""Pages that are written by the program are as it would write them now."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def tool(name: str) -> ModuleType:
    """Load a script of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_summaries_are_up_to_date() -> None:
    summaries = tool("summaries")
    assert summaries.TARGET.read_text(encoding="utf-8") == summaries.page(), "run make docs"


def test_the_first_study_is_told_as_its_records_have_it() -> None:
    study = tool("first_study")
    assert study.PAGE.read_text(encoding="utf-8") == study.page(), "run make docs"
