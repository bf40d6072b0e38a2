"""The lines that converters write to logs and to the terminal: turned into warnings, or swallowed."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from attendet.errors import AttendetWarning


@contextmanager
def relayed_output(tool: str, logger: str | None = None) -> Iterator[None]:
    """Turn the warnings that a tool logs into warnings of attendet, and swallow what it prints.

    Only the command line writes to the terminal. Without this, a first line on the root logger would configure the
    logging of the whole process, and its progress bars would mix with the command's own.

    Args:
        tool: Name of the tool, in front of each warning.
        logger: Name of the tool's logger (default: the root logger). Its handlers and its level are restored.

    Example:
        >>> with warnings.catch_warnings(record=True, action="always") as caught:
        ...     with relayed_output("converter", "converter"):
        ...         print("step 1 of 2")
        ...         logging.getLogger("converter").warning("range of %s is unknown", "a")
        >>> [str(each.message) for each in caught]
        ['converter: range of a is unknown']
    """
    lines: list[str] = []
    collector = logging.Handler(logging.WARNING)
    collector.emit = lambda record: lines.append(record.getMessage())
    source = logging.getLogger(logger)
    handlers, level = source.handlers, source.level
    source.handlers, source.level = [collector], max(level, logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        source.handlers = handlers
        source.setLevel(level)
    for line in dict.fromkeys(lines):
        # Level 3: the block that used this context.
        warnings.warn(f"{tool}: {line}", AttendetWarning, stacklevel=3)
