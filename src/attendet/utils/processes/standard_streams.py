"""Standard input, output, and error of a process whose caller closed them, or does not read them any more."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Connect streams that the caller has closed to the null device.

    Otherwise the next file that is opened gets the number of a closed stream, and messages of libraries are written
    into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number is the number of the stream, because the streams before it are open.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - stays open


def flush_streams() -> None:
    """Write everything that was printed.

    Raises:
        OSError: If it cannot be written, such as `BrokenPipeError` if it has no reader any more.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def discard_unwritable_output() -> None:
    """Discard printed text that cannot be written, so that Python does not try again when it exits, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
