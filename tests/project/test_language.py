"""The language rules of docs/style.md, as far as `tools/language.py` can check them."""

import ast
from pathlib import Path

import pytest

from tests.helpers.tools import load_tool

ROOT = Path(__file__).parents[2]
CHECKED = [
    "src",
    "runtime",
    "docs",
    "tools",
    "benchmarks",
    "examples",
    "tests",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
]
QUOTING = {"docs/style.md", "tools/language.py", "tests/project/test_language.py"}
"""Files that quote banned phrases."""

language = load_tool("language")

# One sentence for each pattern, in the order of the tool.
BANNED = [
    "a regularizer of -1 is none",
    "the folder has none",
    "the user is told about it",
    "the file stands in the folder",
    "the weights are read anew",
    "a file beside it",
    "two files, of which one is kept",
    "the map lies on the image",
    "whatever it holds",
    "nobody reads it",
    "training goes on",
    "the reason in words",
    "the first class unless given",
    "it keeps so many boxes",
    "one seed suffices",
    "a run that was begun",
    "a summary of it all",
    "a rule that is to be had",
    "and the like",
    "Return what is left.",
    "the file says so",
    "the tensors and those that fit",
    "The score, or None where there is none.",
    "when a run comes to its end",
    "their gate and ours",
    "the greatest of all",
    "Args:\n    reporter: Who watches.",
]
NATURAL = [
    "`channels` must be a positive integer, got 0",
    "There is no free lunch, there are no labels, and weights are no longer finite.",
    "Return the boxes of an image, or None if there are no labels.",
    "What is a feature map? It is the output of a layer.",
    "Users can choose what to write.",
    "The symbol N stands for the batch size.",
    "Whether to draw the labels.",
    "Args:\n    out: Where to write the file.",
    "As many runs as the standard deviation requires, one next to the other.",
    "A bystander saw the underlying belief of people.",
]


@pytest.mark.parametrize("path", CHECKED)
def test_no_banned_phrases(path: str) -> None:
    files = language.python_and_markdown([ROOT / path])
    checked = [file for file in files if str(file.relative_to(ROOT)) not in QUOTING]
    assert [str(phrase) for file in checked for phrase in language.find_phrases(file)] == []


def test_no_banned_phrases_in_the_names_of_tests() -> None:
    names = {
        node.name.replace("_", " ")
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert sorted(name for name in names if any(pattern.search(name) for pattern in language.PATTERNS)) == []


def test_every_pattern_is_found() -> None:
    assert len(BANNED) == len(language.PATTERNS)
    for sentence, pattern in zip(BANNED, language.PATTERNS, strict=True):
        assert pattern.search(sentence), pattern.pattern


@pytest.mark.parametrize("sentence", NATURAL)
def test_natural_sentences_pass(sentence: str) -> None:
    assert [pattern.pattern for pattern in language.PATTERNS if pattern.search(sentence)] == []


def test_comments_docstrings_and_messages_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        '"""Names.\n\nThis is none.\n\n    >>> "told so"\n"""\n\n\n'
        "def stands(told):  # it stands here\n"
        '    raise ValueError(f"{told} lies there")\n'
    )
    found = [(phrase.place.rpartition(":")[2], phrase.text) for phrase in language.find_phrases(file)]
    assert sorted(found) == [("10", "lies"), ("3", "is none"), ("9", "stands")]


def test_text_of_markdown_is_checked_without_code(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# It stands\n\n`told` is code.\n\n```\ntold\n```\n\nThe user is told.\n")
    found = [(phrase.place.rpartition(":")[2], phrase.text) for phrase in language.find_phrases(file)]
    assert found == [("1", "stands"), ("9", "told")]
