"""The ledger of a study: every look at its results, so that a report can list all changes after looking."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from attendet.errors import DataError, Location, OptionError
from attendet.study.design.schema import Metric, StudyDesign
from attendet.study.folder import StudyRecords
from attendet.utils.io import cannot_write
from attendet.utils.limits import MAX_JSON_BYTES
from attendet.utils.records import describe_mismatch
from attendet.utils.regular_files import open_regular
from attendet.utils.settings import StrictModel

DIGEST_LENGTH = 16


class Look(StrictModel):
    """One look at the results of a study: a line of ledger.jsonl.

    Attributes:
        look: Number of the look, from 1.
        time: Time of the look, ISO 8601 in UTC.
        new_question: Whether the look declares a new question, so that earlier arms no longer count.
        metric: The metric that decides.
        last_epochs: Number of last epochs that it is averaged over.
        matters: Smallest difference that matters.
        looks: Planned numbers of seeds of the looks.
        baseline: The arm that the others are compared with.
        data: Fingerprint of the images.
        arms: Identity of each arm by name; empty if it is unknown.
        seeds: Planned seeds.
        finished: Number of finished runs of the design.
        set_aside: Arms with finished runs outside the design, which a new question no longer counts.
        verdicts: Verdict of each comparison, such as `cbam against baseline`.
        previous: Digest of the line before; empty in the first line.
    """

    look: int = Field(ge=1)
    time: str
    new_question: bool = False
    metric: Metric
    last_epochs: int
    matters: float | None = None
    looks: tuple[int, ...] = ()
    baseline: str
    data: str
    arms: dict[str, str]
    seeds: tuple[int, ...]
    finished: int
    set_aside: tuple[str, ...] = ()
    verdicts: dict[str, str] = Field(default_factory=dict)
    previous: str = ""

    def design(self) -> dict[str, Any]:
        """Return the fields of the design."""
        results = {"look", "time", "previous", "new_question", "set_aside", "verdicts", "finished"}
        return self.model_dump(exclude=results)

    def repeats(self, other: Look) -> bool:
        """Return whether this look shows the same results as another one."""
        return self.design() == other.design() and self.finished == other.finished


@dataclass(frozen=True)
class Ledger:
    """All looks at a study.

    Attributes:
        looks: The looks, the first one first.
        problems: Lines that are damaged or were changed, one sentence each.
    """

    looks: tuple[Look, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def question(self) -> tuple[Look, ...]:
        """The looks since the last one that declared a new question, including that one."""
        starts = [number for number, look in enumerate(self.looks) if look.new_question]
        return self.looks[starts[-1] :] if starts else self.looks

    def number_of(self, look: Look) -> int:
        """Return the number of a look: that of the last one if it shows the same results, otherwise the next."""
        repeated = bool(self.looks) and self.looks[-1].repeats(look)
        return len(self.looks) + (not repeated)

    @property
    def set_aside(self) -> frozenset[str]:
        """Arms that no longer count since a new question, without arms that are in the design again."""
        aside = {name for look in self.looks for name in look.set_aside}
        for look in self.question:
            back = {name for arm, identity in look.arms.items() for name in (arm, f"{arm} {identity}")}
            aside = (aside - back) | set(look.set_aside)
        return frozenset(aside)

    def has_declared(self, look: Look) -> bool:
        """Return whether the current question was declared with the design of a look."""
        first = self.question[0] if self.question else None
        return first is not None and first.new_question and first.design() == look.design()


def read_ledger(path: Path) -> Ledger:
    """Return the ledger of a study, which is empty before the first look.

    Raises:
        DataError: If the file cannot be opened or is too large.
    """
    if not path.exists():
        return Ledger()
    with open_regular(path, DataError) as file:
        content = file.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise DataError("the ledger is too large", where=Location(str(path)), remedy="move it away")
    looks: list[Look] = []
    problems: list[str] = []
    before = ""
    for number, line in enumerate(content.splitlines(), start=1):
        expected, before = before, _digest(line)
        try:
            look = Look.model_validate(json.loads(line))
        except (ValidationError, ValueError) as error:
            reason = describe_mismatch(error) if isinstance(error, ValidationError) else "it is not JSON"
            problems.append(f"line {number} of {path.name} is damaged: {reason}")
            continue
        if look.previous != expected:
            problems.append(f"{path.name} was changed: line {number} does not follow the line before it")
        looks.append(look)
    return Ledger(tuple(looks), tuple(problems))


def record_look(path: Path, look: Look) -> None:
    """Append a look to the ledger. A look that shows the same results as the last one is not recorded again.

    Args:
        path: The ledger.
        look: The look; number, time, and digest are filled in.

    Raises:
        DataError: If the ledger cannot be read.
        OutputError: If it cannot be written.
    """
    ledger = read_ledger(path)
    number = ledger.number_of(look)
    if number == len(ledger.looks) and not look.new_question:
        return
    content = path.read_bytes() if path.exists() else b""
    last = content.splitlines()[-1:]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    fields = {"look": len(ledger.looks) + 1, "time": now, "previous": _digest(last[0]) if last else ""}
    line = f"{look.model_copy(update=fields).model_dump_json()}\n"
    if content and not content.endswith(b"\n"):
        line = f"\n{line}"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        raise cannot_write(path, error) from error


def require_same_looks(design: StudyDesign, ledger: Ledger) -> None:
    """Require that the planned looks have not changed since the first one, because the levels depend on them.

    Raises:
        OptionError: If they differ.
    """
    first = ledger.question[0] if ledger.question else None
    if first is not None and first.looks != design.looks:
        raise OptionError(
            f"looks were fixed as {list(first.looks)} at the first look, got {list(design.looks)}",
            remedy=f"write looks: {list(first.looks)}, or declare a new question (--new-question)",
        )


def current_look(records: StudyRecords, verdicts: Mapping[str, str]) -> Look:
    """Return the look that a report of these records is, without its number, time, and digest.

    Args:
        records: Records of the study.
        verdicts: Verdict of each comparison.
    """
    study, design = records.study, records.study.design
    identities = {cell.arm: cell.identity for cell in study.cells}
    return Look(
        look=1,
        time="",
        metric=design.metric,
        last_epochs=design.last_epochs,
        matters=design.matters,
        looks=design.looks,
        baseline=design.baseline,
        data=study.data,
        arms={name: identities.get(name, "") for name in design.arms},
        seeds=design.seeds,
        finished=sum(record.status == "finished" for record in records.cells.values()),
        verdicts=dict(verdicts),
    )


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:DIGEST_LENGTH]
