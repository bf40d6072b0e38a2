"""Problems as they are met, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attendet.data.records import Kind, Problem

MAX_OF_A_KIND = 1000
"""Most problems kept of one kind: one wrong name in a large set makes a problem of every object."""


class ProblemList:
    """The first problems of each kind, and how many there are.

    Example:
        >>> from attendet.errors import Location
        >>> problems = ProblemList()
        >>> problems.take(Problem(Kind.SLIVER, Location("a.txt", line)) for line in range(1, 5001))
        >>> len(problems.first), problems.total, dict(problems.untold())
        (1000, 5000, {<Kind.SLIVER: 'sliver of a box'>: 4000})
    """

    def __init__(self) -> None:
        self.first: list[Problem] = []
        """Those that are kept, in their order."""
        self._counts: Counter[Kind] = Counter()

    def take(self, problems: Iterable[Problem]) -> None:
        """Count problems, and keep the first of their kind."""
        for problem in problems:
            self._counts[problem.kind] += 1
            if self._counts[problem.kind] <= MAX_OF_A_KIND:
                self.first.append(problem)

    @property
    def total(self) -> int:
        """Number of problems."""
        return self._counts.total()

    def untold(self) -> Counter[Kind]:
        """Return the number of problems that were not kept, by kind."""
        return self._counts - Counter(problem.kind for problem in self.first)
