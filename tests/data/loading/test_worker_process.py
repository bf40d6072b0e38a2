"""Worker processes of a data loader report no error if the main process ends while it receives a batch."""

from __future__ import annotations

import subprocess
import sys

# A thread of the worker sends batches. Here, the main process closes the connection before it has received one.
SCRIPT = """
import os, socket, sys, time
from multiprocessing import resource_sharer
from attendet.data.loading.data_module import init_worker

init_worker(0)
address, _ = resource_sharer.DupFd(os.pipe()[0])._id
with socket.socket(socket.AF_UNIX) as main_process:
    main_process.connect(address)
resource_sharer.stop(timeout=30)
{then}
"""


def run_worker(then: str) -> str:
    """Return the standard error of a worker that executes a statement after the connection is closed."""
    script = SCRIPT.format(then=then)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - the script above
    return done.stderr


def test_a_closed_connection_is_not_reported() -> None:
    assert run_worker("") == ""


def test_other_errors_are_reported() -> None:
    assert run_worker("raise ValueError('an image too many')").endswith("ValueError: an image too many\n")
