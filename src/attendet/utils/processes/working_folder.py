"""Protection against files of the working folder that would run as code or change settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from importlib import import_module
from pathlib import Path


@contextmanager
def ignore_working_folder() -> Iterator[None]:
    """Ignore modules and settings in the working folder in the block: they may be a stranger's.

    Python processes that are started in the block do not import modules of the working folder. A `matplotlibrc` there,
    which matplotlib would prefer to the user's own, has no effect: older versions evaluate expressions in it.

    Example:
        >>> with ignore_working_folder():
        ...     os.environ["PYTHONSAFEPATH"]
        '1'
    """
    # matplotlib reads the file once, when it is imported. It takes a second, so it is imported only if there is a file.
    if os.path.lexists("matplotlibrc"):
        with chdir(Path(__file__).parent):
            import_module("matplotlib")
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
