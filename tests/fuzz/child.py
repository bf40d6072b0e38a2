"""The child process: reads inputs one after the other, and reports the outcome of each on one line.

`python -m tests.fuzz.child REGISTRY FOLDER` reads one case per line of standard input: kind and seed as JSON.
"""

from __future__ import annotations

import _posixsubprocess
import importlib
import json
import os
import shutil
import socket
import sys
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import torch
from PIL import Image

from attendet.errors import AttendetWarning
from tests.fuzz.hostile_values import PLANTED_MODULE, PORT_VARIABLE
from tests.fuzz.kinds import Case, Kind
from tests.fuzz.outcomes import Finding, Outcome, outcome_of_error
from tests.fuzz.resource_limits import MAX_BYTES, PeakMemory, limit_address_space, time_limits
from tests.fuzz.sentry import ForbiddenActionError, Sentry

_CODECS = ("base64_codec", "bz2_codec", "hex_codec", "idna", "punycode", "quopri_codec", "uu_codec", "zlib_codec")
"""Codecs that import other modules; XML names its encoding, which Python then looks for in `encodings` only."""

READY = "ready"
"""The first line of the results."""


class Worker:
    """Reads cases in an empty folder that is made for each of them.

    Args:
        kinds: The kinds by their names.
        folder: A folder of the child alone; its working folder.
    """

    def __init__(self, kinds: Mapping[str, Kind], folder: Path) -> None:
        self._kinds = kinds
        self._folder = folder / "input"
        self._sentry = Sentry(folder)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        os.environ[PORT_VARIABLE] = str(self._listener.getsockname()[1])

    def rehearse(self) -> None:
        """Read some inputs of each kind, so that everything is imported that the readers import late."""
        Image.init()
        for name in _CODECS:
            importlib.import_module(f"encodings.{name}")
        for name, kind in self._kinds.items():
            for number in range(kind.rehearsals):
                case = Case(name, -1 - number)
                path = self._write(case)
                with suppress(Exception, ForbiddenActionError), self._sentry.watching(may_import=True):
                    case.reader(kind)(path)

    def examine(self, case: Case) -> Finding:
        """Return the outcome of a case."""
        path = self._write(case)
        reader = case.reader(self._kinds[case.kind])
        outcome, detail = Outcome.ACCEPTED, ""
        with PeakMemory() as memory, time_limits():
            try:
                with self._sentry.watching():
                    reader(path)
            except ForbiddenActionError:
                pass
            except BaseException as error:  # noqa: BLE001 (every error is an outcome)
                outcome, detail = outcome_of_error(error), _describe(error)
        if memory.size > MAX_BYTES:
            outcome, detail = Outcome.BIG, f"{memory.size / 2**20:,.0f} MiB"
        if self._sentry.findings or self._has_caller():
            outcome, detail = Outcome.EXECUTED, "; ".join(self._sentry.findings) or "connected to an address"
        return Finding(case, outcome, detail)

    def _write(self, case: Case) -> Path:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        return case.write(self._kinds[case.kind], self._folder)

    def _has_caller(self) -> bool:
        """Return whether a decoder, whose calls Python's audit hooks do not see, connected to the address."""
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def refuse_fork(*_: object) -> NoReturn:
    """Report the start of a process that has no audit event of its own."""
    sys.audit("fuzz.fork_exec")
    raise PermissionError("a child of the fuzzer starts no process")


def _describe(error: BaseException) -> str:
    """Return the message of an error, and the place of an unexpected one."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in last)
    return f"{type(error).__name__}: {error}{place}"[:1000]


def _raise_warnings() -> None:
    """Turn warnings into errors, except for our own and for the kinds that Python does not show by default."""
    warnings.simplefilter("error")
    warnings.simplefilter("default", AttendetWarning)
    for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", hidden)


def main() -> None:
    """Read cases from standard input until it ends."""
    registry, folder = sys.argv[1:]
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Libraries write to the standard streams; the results have their own.
    os.dup2(2, 1)
    torch.set_num_threads(1)
    kinds: Mapping[str, Kind] = importlib.import_module(registry).KINDS
    _posixsubprocess.fork_exec = refuse_fork
    Path(f"{PLANTED_MODULE}.py").write_text("def run(*_): open('ran', 'w')\n", encoding="utf-8")
    cases = [Case(**json.loads(line)) for line in sys.stdin]
    worker = Worker({case.kind: kinds[case.kind] for case in cases}, Path(folder))
    worker.rehearse()
    _raise_warnings()
    limit_address_space()
    print(READY, file=results, flush=True)
    for case in cases:
        print(worker.examine(case).to_line(), file=results, flush=True)


if __name__ == "__main__":
    main()
