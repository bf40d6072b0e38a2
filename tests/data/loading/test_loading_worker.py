from __future__ import annotations

import subprocess
import sys

# A thread of the worker hands batches over; here the main process hangs up before it has taken one.
HANDED_OVER = """
import os, socket, sys, time
from multiprocessing import resource_sharer
from attendet.data.loading.data_module import settle

settle(0)
address, _ = resource_sharer.DupFd(os.pipe()[0])._id
with socket.socket(socket.AF_UNIX) as main_process:
    main_process.connect(address)
resource_sharer.stop(timeout=30)
{then}
"""


def told(then: str) -> str:
    script = HANDED_OVER.format(then=then)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    return done.stderr


def test_nothing_is_told_of_a_main_process_that_hangs_up() -> None:
    assert told("") == ""


def test_everything_else_is_told() -> None:
    assert told("raise ValueError('an image too many')").endswith("ValueError: an image too many\n")
