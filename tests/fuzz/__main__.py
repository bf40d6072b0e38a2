"""Read hostile inputs for a while, and write the table of docs/reliability.md.

`python -m tests.fuzz --seconds 3600` is `make fuzz SECONDS=3600`. `python -m tests.fuzz --case KIND SEED` repeats one
input, and leaves it in a folder with `--keep FOLDER`.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from tests.fuzz.kill_points import VERBS, examine_kills
from tests.fuzz.kinds import Case
from tests.fuzz.outcomes import Finding
from tests.fuzz.registry import KINDS
from tests.fuzz.reliability_page import PAGE, RECORD, page
from tests.fuzz.runner import examine
from tests.fuzz.tally import make_record

_BATCH = 200
# One kill takes two starts of the command.
_SECONDS_PER_KILL = 120


def main() -> int:
    """Run the fuzzer; return 1 if an input broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="duration of the run")
    parser.add_argument("--seed", type=int, default=1_000_000, help="seed of the first input of each kind")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only this kind; writes no page")
    parser.add_argument("--case", nargs=2, metavar=("KIND", "SEED"), help="repeat one input")
    parser.add_argument("--keep", type=Path, help="with --case: write the input into this new folder")
    options = parser.parse_args()
    if options.case:
        return _repeat(Case(options.case[0], int(options.case[1])), options.keep)
    findings = _until(options.seconds, options.kind or list(KINDS), options.seed, with_kills=not options.kind)
    found = list(_shown(findings))
    if not options.kind:
        machine = f"{platform.system()} {platform.machine()}, CPU"
        make_record(found, [*KINDS, *VERBS], options.seed, machine).write(RECORD)
        PAGE.write_text(page(), encoding="utf-8")
    defects = sum(finding.outcome.is_defect for finding in found)
    print(f"{len(found):,} inputs, {defects} defects")
    return int(defects > 0)


def _repeat(case: Case, keep: Path | None) -> int:
    """Examine one input again, and print its outcome."""
    if keep is not None:
        keep.mkdir(parents=True)
        print(case.write(KINDS[case.kind], keep))
    with tempfile.TemporaryDirectory(prefix="attendet-fuzz-") as folder:
        kills = case.kind in VERBS
        (finding,) = examine_kills(case.kind, lambda _: [case.seed], Path(folder)) if kills else examine([case])
    print(finding)
    return int(finding.outcome.is_defect)


def _until(seconds: float, kinds: list[str], seed: int, *, with_kills: bool) -> Iterator[Finding]:
    """Yield findings about kills, and then about batches of all kinds in turns until the time is over."""
    end = time.monotonic() + seconds
    if with_kills:
        kills = max(1, int(seconds / 10 / _SECONDS_PER_KILL))
        for verb in VERBS:
            with tempfile.TemporaryDirectory(prefix="attendet-fuzz-") as folder:
                yield from examine_kills(verb, partial(_sample, seed, kills), Path(folder))
    first = seed
    while time.monotonic() < end:
        for finding in examine([Case(kind, first + number) for kind in kinds for number in range(_BATCH)]):
            yield finding
            if time.monotonic() > end:
                return
        first += _BATCH


def _sample(seed: int, count: int, changes: int) -> list[int]:
    """Return some numbers from 1 to the number of changes."""
    return Random(seed).sample(range(1, changes + 1), min(count, changes))  # noqa: S311 (no secret)


def _shown(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Print defects as they are found."""
    for finding in findings:
        if finding.outcome.is_defect:
            print(f"{finding}\n    repeat it: python -m tests.fuzz --case {finding.case.kind!r} {finding.case.seed}")
            sys.stdout.flush()
        yield finding


if __name__ == "__main__":
    sys.exit(main())
