"""Commands that start child processes, and the end of a child process with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

# Option of Linux's prctl: the signal that this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 1.0


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new interpreter, which imports no module of the working folder.

    Args:
        module: Full name of the module.
        arguments: Arguments of its command line.

    Example:
        >>> module_command("attendet.study.runs.worker")[1:]
        ['-P', '-m', 'attendet.study.runs.worker']
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment(**variables: str) -> dict[str, str]:
    """Return environment variables for `module_command`: the new process imports the same modules as this one.

    Args:
        variables: Further variables.
    """
    # An empty entry is the working folder.
    paths = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1", **variables}


def end_with_parent(parent: int) -> None:
    """End this process as soon as its parent has ended, even if the parent was killed.

    On Linux, the kernel ends the process. Elsewhere a thread asks every second who the parent is.

    Args:
        parent: Process number of the parent, which may have ended before this call.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_wait_for_end, args=[parent], daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
