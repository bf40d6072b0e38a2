"""Peak memory of a variant, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from attendet.errors import OptionError
from attendet.exporting.benchmarking.variants import Variant
from attendet.utils.processes.child_processes import module_command, module_environment

_WORKER = "attendet.exporting.benchmarking.memory_worker"


def measure_peak_memory(
    variant: Variant, shape: Sequence[int], threads: int, *, network: Path | None = None, path: Path | None = None
) -> int:
    """Return the peak resident memory in bytes that opening and running a variant adds to a process with torch.

    The libraries of a runtime count, except torch and the packages that attendet needs anyway.

    Args:
        variant: The variant.
        shape: Shape of the input.
        threads: Number of threads.
        network: For a variant in torch: file to which `torch.save` wrote the `ExportSubject`. It is unpickled, so it
            must have been written by this process.
        path: For any other variant: its file.

    Raises:
        OptionError: If the process fails; the message ends with its last line.
    """
    job = {
        "variant": asdict(variant),
        "shape": list(shape),
        "threads": threads,
        "network": network and str(network.absolute()),
        "path": path and str(path.absolute()),
    }
    done = subprocess.run(  # noqa: S603 - this package, run by this interpreter
        module_command(_WORKER, str(os.getpid())),
        env=module_environment(OMP_NUM_THREADS=str(threads)),
        input=json.dumps(job),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise OptionError(f"the memory of {variant.name} could not be measured: {reason}")
    return int(done.stdout.split()[-1])
