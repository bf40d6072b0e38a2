"""Run one training of a study in its own process: `python -m attendet.study.runs.worker`, job on standard input."""

from __future__ import annotations

import os
import sys
import threading

from attendet.study.runs.job import Job, try_job
from attendet.training.reporter import NullReporter

FAILED = 2


def main() -> int:
    """Carry out the job in the first line of standard input; on failure, write the error message to standard output.

    Standard input stays open as long as the parent process lives. When it closes, this process exits, so that no run
    continues in the background while the next `attendet study run` resumes it.
    """
    # Output of libraries must not be mixed with the error message.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    error = try_job(job, NullReporter())
    if error is None:
        return 0
    # The parent reads after this process has ended, so the message must fit into the pipe; MAX_ERROR_LENGTH does.
    answer.write(error)
    answer.flush()
    return FAILED


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
