"""docs/training.md describes every setting and every flag."""

import re
from pathlib import Path

import pytest

from attendet.training.config import setting_names
from tests.helpers.command import declared_flags

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def documented_names() -> set[str]:
    return set(re.findall(r"`(\w+\.\w+)`", PAGE))


def test_every_setting_has_its_row() -> None:
    settings = set(setting_names())
    sections = {name.split(".")[0] for name in settings}
    assert {name for name in documented_names() if name.split(".")[0] in sections} == settings


@pytest.mark.parametrize("verb", ["train", "val"])
def test_every_flag_is_documented(verb: str) -> None:
    long = {flag for flag in declared_flags(verb) if flag.startswith("--") and flag != "--help"}
    assert not {flag for flag in long if not re.search(re.escape(flag) + r"(?![\w-])", PAGE)}
