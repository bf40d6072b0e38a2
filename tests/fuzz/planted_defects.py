"""Readers with defects, which show that the harness notices them: the registry of tests/fuzz/test_harness.py."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from random import Random

import torch

from attendet.errors import DataError
from tests.fuzz.hostile_values import PLANTED_MODULE, PORT_VARIABLE
from tests.fuzz.kinds import Kind, Read

_GIBIBYTE = 2**30


class _Command:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ran",)


def _write(random: Random, folder: Path) -> Path:
    path = folder / "bomb.pkl"
    path.write_bytes(pickle.dumps([_Command(), random.random()]))
    return path


def _refuse(_: Path) -> None:
    raise DataError("it is refused")


class _EndlessError(DataError):
    """An error whose message is not shortened."""

    def __str__(self) -> str:
        return self.message * 100_000


def _refuse_at_length(_: Path) -> None:
    raise _EndlessError("it is refused")


def _unpickle(path: Path) -> None:
    pickle.loads(path.read_bytes())  # noqa: S301 (the defect)


def _unpickle_and_swallow(path: Path) -> None:
    try:
        _unpickle(path)
    except BaseException as error:
        raise DataError("damaged") from error


def _evaluate(_: Path) -> None:
    eval("1 + 1")  # noqa: S307 (the defect)


def _run_program(_: Path) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def _import_named(_: Path) -> None:
    import_module(PLANTED_MODULE)


def _write_outside(path: Path) -> None:
    (path.parents[2] / "outside").write_text("ran", encoding="utf-8")


def _connect(_: Path) -> None:
    socket.create_connection(("127.0.0.1", int(os.environ[PORT_VARIABLE])))


def _connect_without_python(_: Path) -> None:
    import av  # noqa: PLC0415

    av.open(f"http://127.0.0.1:{os.environ[PORT_VARIABLE]}/a.mp4", timeout=1.0)


def _fail(_: Path) -> None:
    raise IndexError("list index out of range")


def _recurse(path: Path) -> None:
    _recurse(path)


def _compute_for_long(_: Path) -> None:
    while True:
        pass


def _wait_for_long(_: Path) -> None:
    time.sleep(10_000)


def _take_memory(_: Path) -> None:
    len(b"x" * int(1.5 * _GIBIBYTE))


def _ask_for_memory(_: Path) -> None:
    try:
        torch.empty(2**50)
    except RuntimeError as error:
        raise DataError("it is too large") from error


def _crash(_: Path) -> None:
    os.abort()


_READERS: Mapping[str, tuple[Read, str]] = {
    "a valid input": (Path.read_bytes, "accepted"),
    "a refusal": (_refuse, "refused"),
    "an endless message": (_refuse_at_length, "traceback"),
    "a pickle that runs": (_unpickle, "executed"),
    "a pickle that runs and is refused": (_unpickle_and_swallow, "executed"),
    "code as text": (_evaluate, "executed"),
    "a program": (_run_program, "executed"),
    "an import": (_import_named, "executed"),
    "a file elsewhere": (_write_outside, "executed"),
    "a connection": (_connect, "executed"),
    "a connection of a decoder": (_connect_without_python, "executed"),
    "an error of Python": (_fail, "traceback"),
    "endless recursion": (_recurse, "traceback"),
    "endless computing": (_compute_for_long, "over 10 s"),
    "endless waiting": (_wait_for_long, "over 10 s"),
    "memory": (_take_memory, "over 1 GB"),
    "memory that is refused": (_ask_for_memory, "over 1 GB"),
    "a crash": (_crash, "lost"),
}

KINDS: Mapping[str, Kind] = {name: Kind(_write, (read,), rehearsals=0) for name, (read, _) in _READERS.items()}
"""Kinds whose readers have one defect each."""

EXPECTED: Mapping[str, str] = {name: outcome for name, (_, outcome) in _READERS.items()}
"""The outcome that the harness must report for each kind."""
