"""What a search is: which candidates there are, and how many of them are tried."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain, count
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictInt

from attendet.study.design.schema import Arm, Design, StudyDesign, Word, listed
from attendet.utils.settings import StrictModel

BASELINE = "baseline"
# Nobody trains the 900 of them, and a report of more would not be read.
MOST_OF_EACH = 30
# Leaves room for what is put before or after it in a study.
LONGEST_NAME = 32
# Far from the 0, 1, 2, … of a study, which must not compare with the seed that has chosen its arms.
SEED = 1000

Words = Annotated[tuple[Word, ...], BeforeValidator(listed), Field(min_length=1, max_length=MOST_OF_EACH)]


class Space(StrictModel):
    """Each attention in each place is a candidate.

    Attributes:
        attention: What stands before the @ of a request: `cbam`, `se:reduction=8`.
        at: What stands after it: `neck`, `before:SPPF`.
    """

    attention: Words
    at: Words


class SearchDesign(Design):
    """A search; what is not told here, `Design` tells. No number of it decides; a study does.

    Attributes:
        search: The candidates.
        trials: How many of them are tried.
        seed: Each is trained once, with this one; what is tried next depends on it too.
        halving: Of those that have come so far, the best one in so many goes on; None lets all come to their end.
        keep: How many of the best the draft of a study has.

    Example:
        >>> from attendet.study.searching.search_file import parse_search
        >>> design = parse_search(
        ...     "{name: where, model: yolov5n, data: d.yaml, search: {attention: se, at: [neck, head]}, trials: 2}"
        ... )
        >>> design.candidates
        {'se-neck': ('se', 'neck'), 'se-head': ('se', 'head')}
    """

    search: Space
    trials: Annotated[StrictInt, Field(ge=1)]
    seed: Annotated[StrictInt, Field(ge=0, le=2**32 - 1)] = SEED
    halving: Annotated[StrictInt, Field(ge=2)] | None = 3
    keep: Annotated[StrictInt, Field(ge=1)] = 2

    @property
    def candidates(self) -> Mapping[str, tuple[str, str]]:
        """Attention and place of each candidate, by a name for folders and tables."""
        found: dict[str, tuple[str, str]] = {}
        for attention in self.search.attention:
            for place in self.search.at:
                found[_new_name(f"{attention}-{place}", found)] = (attention, place)
        return found

    def study(self) -> StudyDesign:
        """Return all that could be run as a study with one seed: the baseline, and an arm for each candidate."""
        arms = {BASELINE: Arm()}
        arms |= {name: Arm(attention=("@".join(pair),)) for name, pair in self.candidates.items()}
        shared = {key: getattr(self, key) for key in Design.model_fields}
        return StudyDesign(**shared, arms=arms, baseline=BASELINE, seeds=(self.seed,))


def _new_name(words: str, taken: Mapping[str, object]) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")[:LONGEST_NAME]
    stem = name[: LONGEST_NAME - 4].rstrip("-")
    names = chain([name], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken and name != BASELINE)
