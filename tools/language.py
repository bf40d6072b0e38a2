"""Find phrases that `docs/style.md` bans in comments, strings, and Markdown text.

`python tools/language.py [--count] PATHS` prints one line per finding and exits with 1 if there is any; with `--count`
it prints the number of findings per 1,000 lines instead.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

BANNED = {
    r"(?<!\bthere )\b(?:is|are|was|were) (?-i:no)\b(?! longer)|\b(?:is|are|was|were) (?-i:none)\b": (
        "state the problem: 'must be ..., got ...', 'not found', 'has no ...'"
    ),
    r"\b(?:has|have) (?-i:none)\b": "name the thing: 'has no labels'",
    r"\btold\b|\btells (?:by|of|what|where|which|whether)\b": "reports, shows, describes, detects",
    r"\b(?:stands?|stood)\b(?! for\b)": "is, is located, appears",
    r"\banew\b": "again",
    r"\bbeside\b": "next to, in addition to, along with",
    r"\b(?:those|that) of which\b|\bof which\b|\bthose of\b": "rewrite with 'whose', 'its', or name the thing",
    r"\b(?:lies|lie)\b": "is, is located",
    r"\bwhatever\b|\bwhoever\b": "any, regardless of",
    r"\b(?:somebody|nobody)\b": "a user, a caller, no one",
    r"\bgo(?:es)? on\b|\bwent on\b": "continues, resumes",
    r"\bin words\b": "as text, as a sentence",
    r"\bunless given\b": "default: ...",
    r"\bso many\b": "N, that many",
    r"\bsuffices?\b": "is enough",
    r"\bbegun\b": "started",
    r"\bof it all\b|\bby itself\b": "automatically, alone",
    r"\bmakes of\b|\bto be had\b|\bas it is met\b": "rewrite",
    r"\bthe likes?\b|\bwhereof\b|\bthereof\b|\btherein\b": "rewrite",
    r"\b(?:and|or|of|by|with|from|than|for|in|on|at|into|to|is|are|return|yield) what\b(?! to\b)(?![^.\n]*\?)"
    r"|\bwhat (?:is|was|are|were)\b(?![^.\n]*\?)": "name the thing: 'the labels that are missing'",
    r"\b(?:says?|said)\b": "states, contains, reports",
    r"\bthose that\b|\bones that\b": "name the things: 'tensors that fit'",
    r"\bnone where\b": "'None if ...'",
    r"\b(?:to|at) (?:its|their) end\b": "finishes",
    r"\b(?:ours|theirs)\b": "name the thing: 'our implementation'",
    r"\bgreatest\b": "largest",
    r"^ *\w+: (?:Who|Whom|Of|Where(?! to\b)|Whether (?:there|it)\b)": "start with a noun or a verb",
}
"""Banned phrases, and advice. All together, they occur less than once per 1,000 lines of Optuna or Lightning."""

PATTERNS = {re.compile(pattern, re.IGNORECASE | re.MULTILINE): advice for pattern, advice in BANNED.items()}


@dataclass(frozen=True)
class Phrase:
    """A banned phrase.

    Attributes:
        place: File and line, as `file:line`.
        text: The phrase as written.
        advice: What to write instead.
    """

    place: str
    text: str
    advice: str


def find_phrases(path: Path) -> Iterator[Phrase]:
    """Yield the banned phrases of a Python or Markdown file, in order of their lines."""
    text = path.read_text(encoding="utf-8")
    for line, words in prose(text) if path.suffix == ".py" else markdown(text):
        for pattern, advice in PATTERNS.items():
            for found in pattern.finditer(words):
                yield Phrase(f"{path}:{line + words[: found.start()].count(chr(10))}", found[0], advice)


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments and strings of Python source that contain words, each with its first line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, without_doctests(node.value)


def without_doctests(text: str) -> str:
    """Blank the lines of doctests, and keep their number."""
    return "\n".join("" if re.match(r"\s*(?:>>>|\.\.\. )", line) else line for line in text.split("\n"))


def markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of Markdown that are not inside code fences."""
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "``", line)


def python_and_markdown(paths: Sequence[Path]) -> list[Path]:
    """Return the Python and Markdown files among files and below folders, sorted."""
    found = [path for top in paths for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    # Packages of JavaScript bring pages of their own.
    return sorted(path for path in found if path.suffix in (".py", ".md") and "node_modules" not in path.parts)


def main() -> int:
    """Check the files named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--count", action="store_true", help="print findings per 1,000 lines")
    options = parser.parse_args()
    files = python_and_markdown(options.paths)
    found = [phrase for path in files for phrase in find_phrases(path)]
    if options.count:
        lines = sum(path.read_text(encoding="utf-8").count("\n") for path in files)
        print(f"{len(found)} findings in {lines} lines: {1000 * len(found) / max(lines, 1):.1f} per 1,000 lines")
        return 0
    for phrase in found:
        print(f"{phrase.place}: {phrase.text!r}: {phrase.advice}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
