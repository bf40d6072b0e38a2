"""What machines lack, told as what a user can do about it."""

from __future__ import annotations

import contextlib
import errno
import logging
import warnings
from collections.abc import Iterator

from attendet.errors import DataError, OutputError, TrainingError
from attendet.utils.devices import is_out_of_memory


@contextlib.contextmanager
def explain_resource_errors(batch_size: int, size: int) -> Iterator[None]:
    """Turn what machines lack into what a user can do about it.

    Args:
        batch_size: Images per batch.
        size: Side of the images in pixels.
    """
    try:
        yield
    except DataError as error:
        raise _from_worker(error) from error
    except (RuntimeError, MemoryError, OSError) as error:
        if "DataLoader worker" in str(error):
            remedy = "there may be too little memory: try --workers 0, or give the container more shared memory"
            raise TrainingError("a process that loads images has died", remedy=remedy) from error
        if is_out_of_memory(error):
            smaller = f"try --batch-size {batch_size // 2}, or a smaller --imgsz"
            raise TrainingError(
                f"there is too little memory for {batch_size} images of {size} pixels",
                remedy=smaller if batch_size > 1 else "try a smaller --imgsz, or a smaller model",
            ) from error
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            remedy = "make room, then go on with --resume; what was written before is whole"
            raise OutputError("there is no space left on the disk", remedy=remedy) from error
        raise


def _from_worker(error: DataError) -> DataError:
    """Return an error as it was raised: torch wraps what a worker process raises into a text of many lines."""
    last = error.message.splitlines()[-1]
    return error if last == error.message else DataError(last.removeprefix(f"{DataError.__module__}.DataError: "))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advertisements and advice, which are about choices that were made on purpose."""
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
