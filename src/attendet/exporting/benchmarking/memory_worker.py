"""Measure the peak memory of one variant: `python -P -m attendet.exporting.benchmarking.memory_worker PARENT`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import sys
from pathlib import Path

from attendet.utils.processes.child_processes import end_with_parent
from attendet.utils.processes.working_folder import ignore_working_folder

_STATUS = Path("/proc/self/status")
_PASSES = 3


def main() -> int:
    """Carry out the job on standard input, and write the number of bytes to standard output.

    This process ends with its parent, whose number is the first argument.
    """
    end_with_parent(int(sys.argv[1]))
    # Output of libraries must not be mixed with the number.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with ignore_working_folder():
        answer.write(f"{_measure(sys.stdin.read())}\n")
    answer.flush()
    return 0


def _measure(text: str) -> int:
    # Imported late: torch takes seconds, in which the parent may end.
    import torch  # noqa: PLC0415

    from attendet.exporting.benchmarking.contenders import open_contender  # noqa: PLC0415
    from attendet.exporting.benchmarking.variants import Variant  # noqa: PLC0415

    job = json.loads(text)
    torch.set_num_threads(job["threads"])
    images = torch.rand(job["shape"])
    # A first convolution initializes torch's own libraries.
    torch.nn.functional.conv2d(torch.rand(1, 3, 32, 32), torch.rand(8, 3, 3, 3))
    before = _restart_peak()
    path = job["path"]
    # The parent wrote this file into a folder that only its user can write to.
    subject = torch.load(job["network"], weights_only=False) if job["network"] else None
    contender = open_contender(Variant(**job["variant"]), subject=subject, path=path and Path(path))
    for _ in range(_PASSES):
        contender.predict(images)
    return max(0, _peak() - before)


def _restart_peak() -> int:
    """Let the peak of this process begin at its present memory, and return that in bytes."""
    with contextlib.suppress(OSError):
        # Linux; without it, the peak is at least the one of importing the package.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS") if _STATUS.exists() else _peak()


def _peak() -> int:
    # On Linux, getrusage returns the peak of the parent if that is higher.
    if _STATUS.exists():
        return _status("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{_STATUS} has no line {name}")
    return 1024 * int(found[1])


if __name__ == "__main__":
    sys.exit(main())
