"""The schema of search.yaml: candidates, trials, and early stopping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain, count
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictInt

from attendet.study.design.schema import Arm, Design, StudyDesign, Word, as_list
from attendet.utils.settings import StrictModel

BASELINE = "baseline"
# 30 attentions in 30 places are 900 candidates, more than anyone can train.
MAX_OF_EACH = 30
# Shorter than the limit of a study, which adds prefixes and suffixes to the name.
MAX_NAME_LENGTH = 32
# Far from the seeds 0, 1, 2, … of a study, which must not reuse the seed that selected its arms.
SEED = 1000

Choices = Annotated[tuple[Word, ...], BeforeValidator(as_list), Field(min_length=1, max_length=MAX_OF_EACH)]


class Space(StrictModel):
    """The candidates of a search: each attention in each place.

    Attributes:
        attention: Attention modules with options, the part of a request before the @: `cbam`, `se:reduction=8`.
        at: Places, the part of a request after the @: `neck`, `before:SPPF`.
    """

    attention: Choices
    at: Choices


class SearchDesign(Design):
    """The design of a search, with the fields of `Design`. Its scores decide nothing; only a study does.

    Attributes:
        search: The candidates.
        trials: Number of candidates to try.
        seed: Seed of every run, and of the sampler that chooses the candidates.
        halving: Successive halving continues one in `halving` of the candidates at each rung; None runs all to the end.
        keep: Number of best candidates in the draft of the study.

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
        """Attention and place of each candidate, by its name in folders and tables."""
        candidates: dict[str, tuple[str, str]] = {}
        for attention in self.search.attention:
            for place in self.search.at:
                candidates[_new_name(f"{attention}-{place}", candidates)] = (attention, place)
        return candidates

    def study(self) -> StudyDesign:
        """Return the search as a study with one seed: the baseline and one arm for each candidate."""
        arms = {BASELINE: Arm()}
        arms |= {name: Arm(attention=("@".join(pair),)) for name, pair in self.candidates.items()}
        shared = {key: getattr(self, key) for key in Design.model_fields}
        return StudyDesign(**shared, arms=arms, baseline=BASELINE, seeds=(self.seed,))


def _new_name(text: str, taken: Mapping[str, object]) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:MAX_NAME_LENGTH]
    stem = name[: MAX_NAME_LENGTH - 4].rstrip("-")
    names = chain([name], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken and name != BASELINE)
