"""Counts of outcomes by kind, and the table of docs/reliability.md."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.fuzz.outcomes import Finding, Outcome

_PACKAGES = ("attendet", "torch", "safetensors", "pillow", "opencv-python-headless", "av", "pyyaml", "numpy")
_DEFECTS = (Outcome.EXECUTED, Outcome.TRACEBACK, Outcome.SLOW, Outcome.BIG, Outcome.LOST)


@dataclass(frozen=True)
class FuzzRecord:
    """The result of one long run of the fuzzer.

    Attributes:
        date: Day of the run.
        seed: Seed of the first input of each kind.
        machine: Kind of machine, without its name.
        versions: Versions of Python and of the packages that read inputs.
        counts: Number of inputs by outcome, for each kind.
    """

    date: str
    seed: int
    machine: str
    versions: Mapping[str, str]
    counts: Mapping[str, Mapping[str, int]]

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        path.write_text(json.dumps(vars(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> FuzzRecord:
        """Return the record in a file."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values)

    def table(self) -> str:
        """Return the table as Markdown, with a sentence about its origin."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        origin = f"Written by `make fuzz` on {self.date}, seed {self.seed}, on {self.machine}; {versions}."
        head = ("input or fault", "inputs tried", *(outcome.value for outcome in _DEFECTS))
        titles = {"executed": "executed", "traceback": "tracebacks"}
        lines = [
            origin,
            "",
            f"| {' | '.join(titles.get(name, name) for name in head)} |",
            f"|---|{len(head[1:]) * '---:|'}",
            *(_row(kind, counts) for kind, counts in self.counts.items()),
            _row("**all**", sum((Counter(counts) for counts in self.counts.values()), Counter())),
        ]
        return "\n".join(lines) + "\n"


def make_record(findings: Iterable[Finding], kinds: Sequence[str], seed: int, machine: str) -> FuzzRecord:
    """Return the record of findings.

    Args:
        findings: The outcomes of all inputs.
        kinds: The kinds, in the order of the table.
        seed: Seed of the first input of each kind.
        machine: Kind of machine.
    """
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for finding in findings:
        counts[finding.case.kind][finding.outcome.value] += 1
    versions = {"Python": ".".join(map(str, sys.version_info[:3]))} | {name: version(name) for name in _PACKAGES}
    return FuzzRecord(f"{datetime.now(UTC):%Y-%m-%d}", seed, machine, versions, counts)


def _row(kind: str, counts: Mapping[str, int]) -> str:
    numbers = (sum(counts.values()), *(counts.get(outcome.value, 0) for outcome in _DEFECTS))
    return f"| {kind} | {' | '.join(f'{number:,}' for number in numbers)} |"
