"""Problems of a data set: a list of bounded length, counts by kind, and images that are in two splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.data.records import Problem, ProblemKind, Split
from attendet.errors import Location

MAX_LISTED_PER_KIND = 1000
"""Most problems of one kind that are listed; a misspelled class name causes one problem per object."""

_MAX_EXAMPLES = 3


class ProblemList:
    """A list of the first problems of each kind, with the number of all problems.

    Attributes:
        listed: The first `MAX_LISTED_PER_KIND` problems of each kind, in the order in which they were added.

    Example:
        >>> problems = ProblemList()
        >>> problems.extend(Problem(ProblemKind.SLIVER, Location("a.txt", line)) for line in range(1, 5001))
        >>> len(problems.listed), problems.total, problems.unlisted()[ProblemKind.SLIVER]
        (1000, 5000, 4000)
    """

    def __init__(self) -> None:
        self.listed: list[Problem] = []
        self._counts: Counter[ProblemKind] = Counter()

    def extend(self, problems: Iterable[Problem]) -> None:
        """Count problems, and list the first ones of each kind."""
        for problem in problems:
            self._counts[problem.kind] += 1
            if self._counts[problem.kind] <= MAX_LISTED_PER_KIND:
                self.listed.append(problem)

    @property
    def total(self) -> int:
        """Number of problems, listed or not."""
        return self._counts.total()

    def unlisted(self) -> Counter[ProblemKind]:
        """Return the number of problems that are not listed, by kind."""
        return self._counts - Counter(problem.kind for problem in self.listed)


@dataclass(frozen=True)
class ProblemCount:
    """The number of problems of one kind, with examples.

    Attributes:
        kind: The kind of problem.
        by_split: Number of problems in each split; splits without such a problem are left out.
        examples: The first three problems.
    """

    kind: ProblemKind
    by_split: Mapping[str, int]
    examples: tuple[Problem, ...]

    @property
    def count(self) -> int:
        """Number of problems in all splits."""
        return sum(self.by_split.values())


def summarize_problems(splits: Sequence[Split]) -> tuple[ProblemCount, ...]:
    """Count the problems of all splits by kind, images that are in two splits included.

    Args:
        splits: All splits of a data set.

    Returns:
        One count for each kind that occurs; errors come before warnings.

    Example:
        >>> from attendet.data.records import ImageRecords
        >>> sliver = Problem(ProblemKind.SLIVER, Location("a.txt", 7))
        >>> [count] = summarize_problems([Split("train", ("cat",), ImageRecords(), (sliver,))])
        >>> count.kind.value, count.by_split
        ('sliver (side ≤ 1 px)', {'train': 1})
    """
    counts: dict[ProblemKind, Counter[str]] = {kind: Counter() for kind in ProblemKind}
    examples: dict[ProblemKind, list[Problem]] = {kind: [] for kind in ProblemKind}
    shared = _shared_images(splits)
    for split in splits:
        for kind, count in split.count_problems().items():
            counts[kind][split.name] = count
        counts[ProblemKind.DUPLICATE_ACROSS_SPLITS][split.name] += len(shared[split.name])
        for problem in (*split.problems, *shared[split.name]):
            if len(examples[problem.kind]) < _MAX_EXAMPLES:
                examples[problem.kind].append(problem)
    # The unary plus drops zeros.
    problem_counts = [
        ProblemCount(kind, dict(+counts[kind]), tuple(examples[kind])) for kind in ProblemKind if +counts[kind]
    ]
    return tuple(sorted(problem_counts, key=lambda problem: not problem.kind.is_error))


def _shared_images(splits: Sequence[Split]) -> dict[str, list[Problem]]:
    """Return, for each split, a problem for every image file that an earlier split has, too (byte for byte).

    A detector that is evaluated on training images shows how well it memorizes, not how well it detects.
    """
    first: dict[str, tuple[str, Path]] = {}
    problems_by_split: dict[str, list[Problem]] = {}
    for split in splits:
        problems = problems_by_split[split.name] = []
        for index, digest in enumerate(split.digests):
            image = split.records.path(index)
            first_split, first_image = first.setdefault(digest, (split.name, image))
            if first_split != split.name:
                detail = f"also in {first_split}" + ("" if first_image == image else f", as {first_image}")
                problems.append(Problem(ProblemKind.DUPLICATE_ACROSS_SPLITS, Location(str(image)), detail))
    return problems_by_split
