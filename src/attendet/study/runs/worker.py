"""Run one training of a study: `python -P -m attendet.study.runs.worker PARENT`, with the job on standard input."""

from __future__ import annotations

import os
import sys
import threading

from attendet.utils.processes.child_processes import end_with_parent
from attendet.utils.processes.working_folder import ignore_working_folder

FAILED = 2


def main() -> int:
    """Carry out the job in the first line of standard input; on failure, write the failure as JSON to standard output.

    This process ends with its parent, whose number is the first argument, and when its standard input closes. So no run
    continues in the background while the next `attendet study run` resumes it.
    """
    end_with_parent(int(sys.argv[1]))
    # Output of libraries must not be mixed with the failure.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    text = sys.stdin.readline()
    threading.Thread(target=_end_with_input, daemon=True).start()
    with ignore_working_folder():
        failure = _carry_out(text)
    if failure is None:
        return 0
    # The parent reads after this process has ended, so the failure must fit into the pipe; MAX_ERROR_LENGTH does.
    answer.write(failure)
    answer.flush()
    return FAILED


def _carry_out(text: str) -> str | None:
    # Imported late: torch takes seconds, in which the parent may end.
    from attendet.study.runs.job import Job, try_job  # noqa: PLC0415
    from attendet.training.reporter import NullReporter  # noqa: PLC0415

    failure = try_job(Job.from_json(text), NullReporter())
    return None if failure is None else failure.to_json()


def _end_with_input() -> None:
    # Not sys.stdin.read(), which holds a lock: a forked process that loads images would wait for it forever.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
