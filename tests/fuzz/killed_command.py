"""The `attendet` command, killed as `kill -9` does before one of its changes of files.

`python -m tests.fuzz.killed_command FOLDER NUMBER ARGUMENTS...` runs `attendet ARGUMENTS...` without plots and kills
itself before the change of this number below the folder, from 1; 0 kills nothing. The last line of standard output is
the number of changes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from attendet.cli.main import run
from tests.helpers.small_training import skip_plots

_CHANGES = frozenset({"os.rename", "os.mkdir", "os.remove", "os.truncate"})


class FileChanges:
    """Counts changes of files below a folder, and kills the process before one of them.

    Args:
        folder: The folder.
        last: Number of the change that does not happen; 0 for none.
    """

    def __init__(self, folder: Path, last: int) -> None:
        self.count = 0
        self._folder, self._last = f"{folder.resolve()}/", last
        sys.addaudithook(self._notice)

    def _notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and any(letter in (arguments[1] or "") for letter in "wax+")
        if (event in _CHANGES or is_write) and self._is_inside(arguments[0]):
            self.count += 1
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_inside(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and str(Path(path).absolute()).startswith(self._folder)


def main() -> None:
    """Run the command, and print the number of changes."""
    folder, last, *arguments = sys.argv[1:]
    changes = FileChanges(Path(folder), int(last))
    sys.argv = ["attendet", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        try:
            run()
        finally:
            print(changes.count)  # noqa: T201 (the result)


if __name__ == "__main__":
    main()
