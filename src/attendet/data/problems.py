"""Problems as they are met, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.data.records import Problem, ProblemKind, Split
from attendet.errors import Location

MAX_OF_A_KIND = 1000
"""Most problems kept of one kind: one wrong name in a large set makes a problem of every object."""


class ProblemList:
    """The first problems of each kind, and how many there are.

    Example:
        >>> from attendet.errors import Location
        >>> problems = ProblemList()
        >>> problems.take(Problem(ProblemKind.SLIVER, Location("a.txt", line)) for line in range(1, 5001))
        >>> len(problems.first), problems.total, dict(problems.untold())
        (1000, 5000, {<Kind.SLIVER: 'sliver of a box'>: 4000})
    """

    def __init__(self) -> None:
        self.first: list[Problem] = []
        """Those that are kept, in their order."""
        self._counts: Counter[ProblemKind] = Counter()

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

    def untold(self) -> Counter[ProblemKind]:
        """Return the number of problems that were not kept, by kind."""
        return self._counts - Counter(problem.kind for problem in self.first)


EXAMPLES = 3


@dataclass(frozen=True)
class ProblemCount:
    """How often something is wrong.

    Attributes:
        kind: What.
        by_split: Number of times, by split; zeros are left out.
        examples: The first of them.
    """

    kind: ProblemKind
    by_split: Mapping[str, int]
    examples: tuple[Problem, ...]

    @property
    def count(self) -> int:
        """Number of times in all splits."""
        return sum(self.by_split.values())


def problem_counts(splits: Sequence[Split]) -> tuple[ProblemCount, ...]:
    """Return how often each kind of thing is wrong, images in two splits among them; errors first."""
    counts: dict[ProblemKind, Counter[str]] = {kind: Counter() for kind in ProblemKind}
    examples: dict[ProblemKind, list[Problem]] = {kind: [] for kind in ProblemKind}
    shared = shared_images(splits)
    for split in splits:
        for kind, count in split.counts().items():
            counts[kind][split.name] = count
        counts[ProblemKind.DUPLICATE_ACROSS_SPLITS][split.name] += len(shared[split.name])
        for problem in (*split.problems, *shared[split.name]):
            if len(examples[problem.kind]) < EXAMPLES:
                examples[problem.kind].append(problem)
    # Unary plus drops the zeros.
    found = [ProblemCount(kind, dict(+counts[kind]), tuple(examples[kind])) for kind in ProblemKind if +counts[kind]]
    return tuple(sorted(found, key=lambda problem: not problem.kind.is_error))


def shared_images(splits: Sequence[Split]) -> dict[str, list[Problem]]:
    """Return the images of each split that an earlier split has too, to the byte.

    What is measured on them is memory, not skill.
    """
    first: dict[str, tuple[str, Path]] = {}
    found: dict[str, list[Problem]] = {}
    for split in splits:
        problems = found[split.name] = []
        for position, digest in enumerate(split.digests):
            image = split.records.path(position)
            owner, twin = first.setdefault(digest, (split.name, image))
            if owner != split.name:
                detail = f"in {owner} too" + ("" if twin == image else f", as {twin}")
                problems.append(Problem(ProblemKind.DUPLICATE_ACROSS_SPLITS, Location(str(image)), detail))
    return found
