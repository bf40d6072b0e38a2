"""The outcome of one input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum

from attendet.errors import AttendetError
from tests.fuzz.kinds import Case

MAX_MESSAGE = 10_000
"""Most characters of an error: a path of at most 4,200, a message, and a remedy."""


class Outcome(Enum):
    """The outcome of reading one input."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXECUTED = "executed"
    TRACEBACK = "traceback"
    SLOW = "over 10 s"
    BIG = "over 1 GB"
    LOST = "lost"

    @property
    def is_defect(self) -> bool:
        """Whether the outcome breaks a promise of SECURITY.md."""
        return self not in (Outcome.ACCEPTED, Outcome.REFUSED)


@dataclass(frozen=True)
class Finding:
    """An input and its outcome.

    Attributes:
        case: The input.
        outcome: The outcome.
        detail: The error message, the forbidden action, or the signal.
    """

    case: Case
    outcome: Outcome
    detail: str = ""

    def to_line(self) -> str:
        """Return the finding as one line of JSON."""
        return json.dumps({**asdict(self.case), "outcome": self.outcome.value, "detail": self.detail})

    @classmethod
    def from_line(cls, line: str) -> Finding:
        """Return the finding in a line of JSON."""
        values = json.loads(line)
        return cls(Case(values["kind"], values["seed"]), Outcome(values["outcome"]), values["detail"])

    def __str__(self) -> str:
        return f"{self.case.kind} {self.case.seed}: {self.outcome.value}: {self.detail}"


def outcome_of_error(error: BaseException) -> Outcome:
    """Return the outcome of an input whose reading raised an error."""
    if any(_is_memory_error(each) for each in _chain(error)):
        return Outcome.BIG
    if isinstance(error, AttendetError) and len(str(error)) <= MAX_MESSAGE:
        return Outcome.REFUSED
    return Outcome.TRACEBACK


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that it was raised from or after."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_memory_error(error: BaseException) -> bool:
    # torch raises a RuntimeError, and OpenCV an error of its own.
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "OutOfMemoryError" in str(error)
