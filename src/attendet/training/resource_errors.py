"""Turn resource errors (memory, disk, shared memory) into actionable messages, and silence Lightning's advice."""

from __future__ import annotations

import contextlib
import errno
import logging
import warnings
from collections.abc import Iterator

from attendet.errors import DataError, OutputError, TrainingError
from attendet.utils.devices import is_out_of_memory
from attendet.utils.text import plural


@contextlib.contextmanager
def explain_resource_errors(batch_size: int, imgsz: int) -> Iterator[None]:
    """Turn resource errors inside the block into errors with a remedy.

    Args:
        batch_size: Images per batch.
        imgsz: Side of the images in pixels.

    Raises:
        TrainingError: If memory is exhausted, or a process that loads images was killed.
        OutputError: If the disk is full.
        DataError: If an image cannot be read, as the process that loads images reported it.
    """
    try:
        yield
    except DataError as error:
        raise _without_traceback(error) from error
    except (RuntimeError, MemoryError, OSError) as error:
        if "DataLoader worker" in str(error):
            remedy = "memory may be too small: try --workers 0, or give the container more shared memory"
            raise TrainingError("a process that loads images was killed", remedy=remedy) from error
        if is_out_of_memory(error):
            smaller = f"try --batch-size {batch_size // 2}, or a smaller --imgsz"
            raise TrainingError(
                f"out of memory with {plural(batch_size, 'image')} of {imgsz} pixels per batch",
                remedy=smaller if batch_size > 1 else "try a smaller --imgsz, or a smaller model",
            ) from error
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            remedy = "free some space, then continue with --resume; the files written so far are complete"
            raise OutputError("no space left on the disk", remedy=remedy) from error
        raise


def _without_traceback(error: DataError) -> DataError:
    """Return the original error: torch puts the traceback of a worker process in front of its message."""
    last = error.message.splitlines()[-1]
    return error if last == error.message else DataError(last.removeprefix(f"{DataError.__module__}.DataError: "))


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advertisements and its advice about settings that were chosen on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning_utilities")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
