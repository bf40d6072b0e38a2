"""Every promise of SECURITY.md names tests that exist and are run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POLICY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
SECTION = POLICY.partition("## What attendet promises")[2].partition("\n## ")[0]
PROMISES = dict(re.findall(r"^- \*\*(.+?)\.?\*\*(.*?)(?=^- \*\*|^###|^A named|\Z)", SECTION, re.MULTILINE | re.DOTALL))
TESTS = sorted(set(re.findall(r"\]\((tests/[^)]+)\)", POLICY)))


def test_every_promise_names_its_tests() -> None:
    assert len(PROMISES) == SECTION.count("\n- **") > 10
    assert {promise for promise, text in PROMISES.items() if not re.search(r"Tests: \[.+\]\(tests/", text)} == set()


@pytest.mark.parametrize("path", TESTS)
def test_the_tests_exist_and_are_collected(path: str) -> None:
    file = ROOT / path
    assert file.is_file(), path
    # pytest collects these files and functions by default.
    assert file.name.startswith("test_")
    assert any(map(is_test, ast.parse(file.read_text(encoding="utf-8")).body)), path


def is_test(node: ast.stmt) -> bool:
    """Return whether a statement defines a test that is not always skipped."""
    if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
        return False
    return not any(ast.unparse(decorator).startswith("pytest.mark.skip(") for decorator in node.decorator_list)


def test_functions_that_are_not_tests_are_noticed() -> None:
    source = "def helper(): ...\n@pytest.mark.skip('x')\ndef test_a(): ...\ndef test_b(): ...\nx = 1\n"
    assert [is_test(node) for node in ast.parse(source).body] == [False, False, True, False]
