"""docs/training.md describes every setting and every flag."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from attendet.cli.main import app
from attendet.training.config import setting_names

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def told() -> set[str]:
    return set(re.findall(r"`(\w+\.\w+)`", PAGE))


def test_every_setting_has_its_row():
    settings = set(setting_names())
    rooms = {name.split(".")[0] for name in settings}
    assert {name for name in told() if name.split(".")[0] in rooms} >= settings
    assert {name for name in told() if name.split(".")[0] in rooms} <= settings


@pytest.mark.parametrize("verb", ["train", "val"])
def test_every_flag_is_told(verb):
    flags = {option for parameter in get_command(app).commands[verb].params for option in parameter.opts}
    long = {flag for flag in flags if flag.startswith("--") and flag != "--help"}
    assert not {flag for flag in long if not re.search(re.escape(flag) + r"(?![\w-])", PAGE)}
