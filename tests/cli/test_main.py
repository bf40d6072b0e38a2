"""How the command ends if the operating system refuses something, or its output is closed."""

import errno
import os
import subprocess
from collections.abc import Callable

import pytest

from attendet.cli import main
from tests.helpers.command import COMMAND, TIMEOUT_S, CommandResult


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.yaml"), "attendet: a.yaml: Permission denied"),
        (OSError(errno.EMFILE, "Too many open files"), "attendet: Too many open files"),
        (OSError("a library's own words"), "attendet: a library's own words"),
    ],
)
def test_errors_of_the_system_are_reported_with_the_file(
    attendet: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    assert attendet("summary", "yolov5n") == (2, "", f"{message}\n")


@pytest.mark.parametrize("verb", [("data", "check"), ("weights", "inspect"), ("summary",), ("data", "get")])
def test_verbs_that_take_no_address_hide_its_password(
    attendet: Callable[..., CommandResult], verb: tuple[str, ...]
) -> None:
    code, out, err = attendet(*verb, "http://me:geheim@host/a.jpg")
    assert (code, out) == (2, "")
    assert "http://host/a.jpg" in err
    assert "geheim" not in err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_closed_pipe_is_not_an_error(options: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(  # noqa: S603 (our own command)
            [COMMAND, "attentions", *options],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
