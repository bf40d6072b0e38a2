"""The `attendet` command, its exit code, and its output."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from typer.core import TyperGroup
from typer.main import get_command

COMMAND = Path(sys.executable).with_name("attendet")
TIMEOUT_S = 120  # enough for a busy machine


class CommandResult(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def declared_flags(verb: str) -> set[str]:
    """Return the flags that a verb of the command declares, such as `--data`."""
    group = get_command(import_module("attendet.cli.main").app)
    assert isinstance(group, TyperGroup)
    return {flag for parameter in group.commands[verb].params for flag in parameter.opts}


def run_and_interrupt(
    arguments: Sequence[str], folder: Path, when: Callable[[], bool], number: signal.Signals = signal.SIGINT
) -> CommandResult:
    """Run the command in a new process, and send Ctrl-C, or another signal, as soon as a condition holds."""
    with subprocess.Popen(  # noqa: S603 (our own command)
        [COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background lets every child process ignore SIGINT, and nohup SIGHUP.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509
    ) as running:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while running.poll() is None and not when():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"attendet {arguments[0]}: the condition did not hold within {TIMEOUT_S} s")
                time.sleep(0.05)
            running.send_signal(number)
            out, err = running.communicate(timeout=TIMEOUT_S)
        finally:
            running.kill()
    return CommandResult(running.returncode, out, err)
