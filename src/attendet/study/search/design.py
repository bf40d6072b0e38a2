"""What a search is: which candidates there are, and how many of them are tried."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from attendet.study.design import Arm, Metric, Name, Setting, StudyDesign, Word

BASELINE = "baseline"
# Nobody trains the 900 of them, and a report of more would not be read.
MOST_OF_EACH = 30
# Leaves room for what is put before or after it in a study.
LONGEST_NAME = 32
# Far from the 0, 1, 2, … of a study, which must not compare with the seed that has chosen its arms.
SEED = 1000


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(min_length=1, max_length=MOST_OF_EACH)]


class Space(_Strict):
    """Each attention in each place is a candidate.

    Attributes:
        attention: What stands before the @ of a request: `cbam`, `se:reduction=8`.
        at: What stands after it: `neck`, `before:SPPF`.
    """

    attention: Words
    at: Words


class SearchDesign(_Strict):
    """A search.

    Attributes:
        name: Of the search, and of its folder.
        model: Base model: a bundled name or a model file.
        weights: Weights that all runs start from.
        data: A data.yaml, a folder, or a COCO json.
        recipe: Settings of all runs, by dotted key.
        search: The candidates.
        trials: How many of them are tried.
        seed: Each is trained once, with this one; what is tried next depends on it too.
        metric: What is looked at.
        last_epochs: A run that comes to its end is worth the mean over so many last epochs.
        halving: Of those that have come so far, the best one in so many goes on; None lets all come to their end.
        keep: How many of the best the draft of a study has.

    Example:
        >>> from attendet.study.search.reading import parse_search
        >>> design = parse_search(
        ...     "{name: where, model: yolov5n, data: d.yaml, search: {attention: se, at: [neck, head]}, trials: 2}"
        ... )
        >>> design.candidates
        {'se-neck': ('se', 'neck'), 'se-head': ('se', 'head')}
    """

    name: Name
    model: Word
    weights: Word | None = None
    data: Word
    recipe: dict[str, Setting] = {}
    search: Space
    trials: Annotated[StrictInt, Field(ge=1)]
    seed: Annotated[StrictInt, Field(ge=0, le=2**32 - 1)] = SEED
    metric: Metric = "map50_95"
    last_epochs: Annotated[StrictInt, Field(ge=1)] = 3
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
        return StudyDesign(
            name=self.name,
            model=self.model,
            weights=self.weights,
            data=self.data,
            recipe=self.recipe,
            arms=arms,
            baseline=BASELINE,
            seeds=(self.seed,),
            metric=self.metric,
            last_epochs=self.last_epochs,
        )


def _new_name(words: str, taken: Mapping[str, object]) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")[:LONGEST_NAME]
    number = 1
    while name in taken or name == BASELINE:
        number += 1
        name = f"{name[: LONGEST_NAME - 4].rstrip('-')}-{number}"
    return name
