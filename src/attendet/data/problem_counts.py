"""What is wrong with a data set, counted by kind and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.data.records import Kind, Problem, Split
from attendet.errors import Location

EXAMPLES = 3


@dataclass(frozen=True)
class ProblemCount:
    """How often something is wrong.

    Attributes:
        kind: What.
        by_split: Number of times, by split; zeros are left out.
        examples: The first of them.
    """

    kind: Kind
    by_split: Mapping[str, int]
    examples: tuple[Problem, ...]

    @property
    def count(self) -> int:
        """Number of times in all splits."""
        return sum(self.by_split.values())


def problem_counts(splits: Sequence[Split]) -> tuple[ProblemCount, ...]:
    """Return how often each kind of thing is wrong, images in two splits among them; errors first."""
    counts: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}
    examples: dict[Kind, list[Problem]] = {kind: [] for kind in Kind}
    shared = shared_images(splits)
    for split in splits:
        for kind, count in split.counts().items():
            counts[kind][split.name] = count
        counts[Kind.DUPLICATE_ACROSS_SPLITS][split.name] += len(shared[split.name])
        for problem in (*split.problems, *shared[split.name]):
            if len(examples[problem.kind]) < EXAMPLES:
                examples[problem.kind].append(problem)
    # Unary plus drops the zeros.
    found = [ProblemCount(kind, dict(+counts[kind]), tuple(examples[kind])) for kind in Kind if +counts[kind]]
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
                problems.append(Problem(Kind.DUPLICATE_ACROSS_SPLITS, Location(str(image)), detail))
    return found
