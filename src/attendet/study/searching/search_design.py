"""The schema of search.yaml, and reading it with row and column in every error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictInt

from attendet.errors import AttendetError, OptionError
from attendet.models.attention_request import parse_request
from attendet.study.design.checks import check_design, node_at
from attendet.study.design.design_file import validate_document
from attendet.study.design.schema import DECIDED_BY_STUDY, Arm, Design, StudyDesign, Word, as_list
from attendet.training.config import build_config
from attendet.utils.settings import StrictModel
from attendet.utils.text import short_repr
from attendet.utils.yaml_nodes import Node, parse, read_yaml_text

BASELINE = "baseline"
# 30 attentions in 30 places are 900 candidates, more than anyone can train.
MAX_OF_EACH = 30
# The draft has a control for each of the best candidates, and a study has up to 64 arms.
MAX_KEPT = 31
# Shorter than the limit of a study, which adds prefixes and suffixes to the name.
MAX_NAME_LENGTH = 32
# Far from the seeds 0, 1, 2, … of a study, which must not reuse the seed that selected its arms.
SEED = 1000

# Settings that the search decides, and the key or command that a user sets them with, if they differ from a study.
DECIDED_BY_SEARCH: Mapping[str, str] = {
    **DECIDED_BY_STUDY,
    "data.fraction": "a data.yaml with fewer images",
    "model.attention": "search",
    "schedule.seed": "seed",
    "output.project": "attendet study search",
    "output.exist_ok": "attendet study search",
}


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
        >>> from attendet.study.searching.search_design import parse_search
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
    keep: Annotated[StrictInt, Field(ge=1, le=MAX_KEPT)] = 2

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


def read_search(path: Path) -> SearchDesign:
    """Return the design in a search.yaml.

    Raises:
        OptionError: If the file cannot be read or is not a valid design, with file, row, and column.
    """
    return parse_search(read_yaml_text(path, OptionError), str(path))


def parse_search(text: str, file: str = "search.yaml") -> SearchDesign:
    """Return the design in the text of a search.yaml.

    Args:
        text: The text, in YAML.
        file: File name for error messages.

    Raises:
        OptionError: If the text is not a valid design, with its row and column and, for an unknown key or name, the
            most similar known one.

    Example:
        >>> parse_search("{name: a, model: yolov5n, data: d.yaml, search: {attention: cbma, at: neck}, trials: 2}")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: search.yaml:1:61: unknown attention 'cbma'; did you mean 'cbam'?
    """
    root = parse(text, file, OptionError)
    design = validate_document(SearchDesign, "search", root, {"search": Space})
    for number, attention in enumerate(design.search.attention):
        _known(attention, node_at(root, ["search", "attention", number]))
    for key in ("attention", "at"):
        values = getattr(design.search, key)
        if len(set(values)) < len(values):
            raise node_at(root, ["search", key]).error(f"{key} must not contain a value twice", "remove the duplicate")
    for key in design.recipe:
        if key in DECIDED_BY_SEARCH:
            raise node_at(root, ["recipe", key]).error(f"the search itself sets {key}", f"use {DECIDED_BY_SEARCH[key]}")
    check_design(design.study(), root)
    if design.halving and not build_config(design.study().settings("baseline", design.seed)).validation.every_epoch:
        remedy = "remove it, or write halving: null"
        raise node_at(root, ["recipe", "validation.every_epoch"]).error("halving needs every epoch validated", remedy)
    return design


def _known(attention: str, node: Node) -> None:
    if "@" in attention:
        raise node.error(f"attention must not name a place, got {short_repr(attention)}", "write places under `at`")
    try:
        parse_request(f"{attention}@neck")
    except AttendetError as error:
        raise node.error(error.message, error.remedy) from error
