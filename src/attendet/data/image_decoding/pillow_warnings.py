"""Suppression of Pillow's warnings about unusual files, in programs with threads."""

from __future__ import annotations

import threading
import warnings


class PillowWarningFilter:
    """A context that suppresses Pillow's warnings about unusual files while any thread is inside it.

    Warning filters belong to the process. With `warnings.catch_warnings` alone, threads that leave in another order
    than they entered would restore the wrong filters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads_inside = 0
        self._original = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._threads_inside == 0:
                self._original = warnings.catch_warnings()
                self._original.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._threads_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads_inside -= 1
            if self._threads_inside == 0:
                self._original.__exit__(None, None, None)
