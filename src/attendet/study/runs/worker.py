"""Run one training of a study in its own process: `python -m attendet.study.runs.worker`, job on standard input."""

from __future__ import annotations

import os
import sys
import threading

from attendet.study.runs.job import Job, attempt
from attendet.training.reporter import NullReporter

FAILED = 2


def main() -> int:
    """Carry out the job of the first line of standard input; on failure, tell why on standard output.

    Standard input stays open as long as whoever began this process lives, and its end is the end of this process: no
    run goes on unseen that the next `attendet study run` would take up as well.
    """
    # What libraries print must not be taken for the answer.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    error = attempt(job, NullReporter())
    if error is None:
        return 0
    # It is read after the end of this process, so it has to fit into the pipe: an error for a record does.
    answer.write(error)
    answer.flush()
    return FAILED


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
