"""A kind of input: how it is written, and how attendet reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

Write: TypeAlias = Callable[[Random, Path], Path]
"""Writes an input into an empty folder and returns the path to read."""

Read: TypeAlias = Callable[[Path], object]
"""Reads an input; errors of `attendet.errors` refuse it."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        write: Writes an input; the same seed writes the same bytes.
        readers: The functions that read an input; the seed chooses one of them.
        inputs: Number of inputs in `make test`.
        rehearsals: Number of further inputs that a child reads first, so that late imports are done.
    """

    write: Write
    readers: tuple[Read, ...]
    inputs: int = 100
    rehearsals: int = 8


@dataclass(frozen=True, order=True)
class Case:
    """One input: `Case("pickle", 7)` is the same file on every machine.

    Attributes:
        kind: Name of the kind.
        seed: Seed of its content.
    """

    kind: str
    seed: int

    def write(self, kind: Kind, folder: Path) -> Path:
        """Write the input into an empty folder, and return the path to read."""
        return kind.write(Random(f"{self.kind}:{self.seed}"), folder)  # noqa: S311 (no secret)

    def reader(self, kind: Kind) -> Read:
        """Return the function that reads the input."""
        return kind.readers[self.seed % len(kind.readers)]
