"""The command: how it ended and what it said, in this process or in one of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

COMMAND = Path(sys.executable).with_name("attendet")
PATIENCE = 120  # seconds, which a busy machine may need


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def interrupted(arguments: Sequence[str], folder: Path, when: Callable[[], bool]) -> Done:
    """Run the command in a process of its own, and press Ctrl-C as soon as something has come true."""
    with subprocess.Popen(  # noqa: S603 (our own command)
        [COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background makes all of them deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as running:
        try:
            deadline = time.monotonic() + PATIENCE
            while running.poll() is None and not when():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"attendet {arguments[0]} has not come so far in {PATIENCE} s")
                time.sleep(0.05)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=PATIENCE)
        finally:
            running.kill()
    return Done(running.returncode, out, err)
