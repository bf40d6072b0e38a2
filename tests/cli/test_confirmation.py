"""`attendet train` asks before it attaches attention at more than 30 places, and never waits for a missing terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from attendet.cli.ui.confirmation import confirm_many_sites
from attendet.errors import OptionError
from attendet.models.bundled import bundled_text
from tests.helpers.command import CommandResult, declared_flags


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[str]]:
    """Return a function that pretends that standard input is a terminal, and returns the questions asked there."""

    def answer(yes: bool) -> list[str]:
        asked: list[str] = []
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(typer, "confirm", lambda question, err: asked.append(question) or (yes and err))
        return asked

    return answer


# YOLOv5n has 57 convolution blocks of class Conv: 5 between the blocks of the backbone, and those inside of them.
def test_many_places_are_confirmed(terminal: Callable[[bool], list[str]]) -> None:
    asked = terminal(True)
    confirm_many_sites(["eca@after:Conv", "se@stage"], "yolov5n", None, None, None)
    assert asked == ["Attach eca@after:Conv at 57 places?"]
    terminal(False)
    with pytest.raises(OptionError, match="nothing was attached; leave places out"):
        confirm_many_sites(["eca@after:Conv"], "yolov5n", None, None, None)


def test_the_rows_are_read_as_the_run_reads_them(terminal: Callable[[bool], list[str]], tmp_path: Path) -> None:
    asked = terminal(True)
    file = tmp_path / "bam.yaml"
    # Only forks with ratios in second place give BAM, which has no kernel size, the number 7.
    file.write_text(bundled_text("yolov5n_CBAM").replace("CBAM, [1024, 16, 7]", "BAM, [1024, 7]"))
    confirm_many_sites(["eca@after:Conv"], str(file), None, "width-list", None)
    assert asked == ["Attach eca@after:Conv at 57 places?"]


def test_few_places_and_mistakes_are_not(terminal: Callable[[bool], list[str]]) -> None:
    asked = terminal(True)
    confirm_many_sites(["eca@stage", "eca@residual-branch~model.4"], "yolov5n", None, None, None)
    confirm_many_sites(["eca@nowhere"], "yolov5n", None, None, None)
    assert asked == []


def test_without_a_terminal_it_is_an_error(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("train", "--data", ".", "--cfg", "yolov5n", "--attention", "eca@after:Conv")
    assert done.returncode == 2
    assert (
        "attention would be attached at more than 30 places (eca@after:Conv at 57 places); confirm it with --yes"
        in (done.stderr)
    )
    assert "--yes" in declared_flags("train")
