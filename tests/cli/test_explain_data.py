"""`attendet explain` with a data set: which options belong to what."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from attendet.cli.main import app
from attendet.errors import OptionError, OutputError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "there is nothing to explain attention by; name images, or give --data data.yaml"),
        (["a.png", "--data", "a.yaml"], "there are images and a data set"),
        (["a.png", "--limit", "3"], "--limit without --data; give both"),
        (["a.png", "--split", "test"], "--split without --data; give both"),
        (["--data", "a.yaml", "--class", "cell"], "--class beside --data; leave one of them out"),
        (["--data", "a.yaml", "--conf-thres", "0.5"], "--conf-thres beside --data"),
    ],
)
def test_what_does_not_go_together(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["explain", "best.safetensors", *options])
    assert isinstance(result.exception, OptionError)
    assert message in str(result.exception)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["explain", "best.safetensors", "--data", "a.yaml", "--out", str(tmp_path)])
    assert isinstance(result.exception, OutputError)
