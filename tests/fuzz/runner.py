"""Children that read inputs; a child that dies counts for its input, and another one continues with the next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from tests.fuzz.kinds import Case
from tests.fuzz.outcomes import Finding, Outcome

ROOT = Path(__file__).parents[2]
REGISTRY = "tests.fuzz.registry"

_TIME_SIGNALS = (signal.SIGPROF, signal.SIGALRM)


def examine(cases: Sequence[Case], registry: str = REGISTRY) -> Iterator[Finding]:
    """Yield the outcome of each case, in their order.

    Args:
        cases: The cases.
        registry: Module with a mapping `KINDS`.

    Raises:
        RuntimeError: If the child fails outside of a case.
    """
    done = 0
    while done < len(cases):
        with tempfile.TemporaryDirectory(prefix="attendet-fuzz-") as folder:
            for finding in _examine_in_child(cases[done:], registry, Path(folder)):
                yield finding
                done += 1


def _examine_in_child(cases: Sequence[Case], registry: str, folder: Path) -> Iterator[Finding]:
    """Yield the outcomes of cases up to the first that ends the child."""
    errors = folder / "stderr.txt"
    done = 0
    with errors.open("wb") as stream, _start(registry, folder, stream) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write("".join(json.dumps(asdict(case)) + "\n" for case in cases))
            child.stdin.close()
            is_ready = child.stdout.readline() != ""
            for line in child.stdout:
                yield Finding.from_line(line)
                done += 1
            code = child.wait()
        finally:
            child.kill()
    last_words = errors.read_text(encoding="utf-8", errors="replace")[-2000:]
    if is_ready and done < len(cases):
        yield _death(cases[done], code, last_words)
    elif code != 0:
        raise RuntimeError(f"the child of the fuzzer ended with {code}:\n{last_words}")


def _start(registry: str, folder: Path, errors: BinaryIO) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 (our own command)
        [sys.executable, "-m", "tests.fuzz.child", registry, str(folder)],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def _death(case: Case, code: int, last_words: str) -> Finding:
    """Return the finding about an input that ended the child."""
    if code >= 0:
        return Finding(case, Outcome.LOST, f"exit code {code}: {last_words[-300:]}")
    outcome = Outcome.SLOW if -code in _TIME_SIGNALS else Outcome.LOST
    return Finding(case, outcome, signal.Signals(-code).name)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a child: one thread, our own modules, and a cache in its folder."""
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    return {**os.environ, **own}
