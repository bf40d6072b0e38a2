"""`search.yaml` → a search's design, or an error with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attendet.errors import AttendetError, OptionError
from attendet.models.attention_request import parse_request
from attendet.study.design.checks import check, decidable, node_at
from attendet.study.design.design_file import fitted
from attendet.study.design.schema import DECIDED
from attendet.study.searching.search_design import SearchDesign, Space
from attendet.training.config import build_config
from attendet.utils.yaml_nodes import Node, parse, read_yaml_text

# What the search itself decides, and under which key a user decides it, where that is another one than in a study.
DECIDED_HERE: Mapping[str, str] = {
    **DECIDED,
    "data.fraction": "a data.yaml with fewer images",
    "model.attention": "search",
    "schedule.seed": "seed",
    "output.project": "attendet study search",
    "output.exist_ok": "attendet study search",
}


def read_search(path: Path) -> SearchDesign:
    """Return the search that a file describes.

    Raises:
        OptionError: If it cannot be read, or is wrong; with file, row and column.
    """
    return parse_search(read_yaml_text(path, OptionError), str(path))


def parse_search(text: str, file: str = "search.yaml") -> SearchDesign:
    """Return the search that a text describes.

    Args:
        text: YAML.
        file: The name to report places under.

    Raises:
        OptionError: If it is wrong, with its place and, for a key or name that does not exist, the nearest that does.

    Example:
        >>> parse_search("{name: a, model: yolov5n, data: d.yaml, search: {attention: cba, at: neck}, trials: 2}")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: search.yaml:1:61: unknown attention 'cba'; did you mean 'cbam'?
    """
    root = parse(text, file, OptionError)
    design = fitted(SearchDesign, "search", root, {"search": Space})
    for number, attention in enumerate(design.search.attention):
        _known(attention, node_at(root, ["search", "attention", number]))
    for key in ("attention", "at"):
        values = getattr(design.search, key)
        if len(set(values)) < len(values):
            raise node_at(root, ["search", key]).error(f"{key} has one twice", "each is tried once")
    for key in design.recipe:
        if key in DECIDED_HERE:
            raise node_at(root, ["recipe", key]).error(f"the search decides {key}", f"see {DECIDED_HERE[key]}")
    # Each of the best stands in the draft beside a control.
    decidable(2 * design.keep, node_at(root, ["keep"]))
    check(design.study(), root)
    if design.halving and not build_config(design.study().settings("baseline", design.seed)).validation.every_epoch:
        remedy = "leave it out, or write halving: null"
        raise node_at(root, ["recipe", "validation.every_epoch"]).error("halving looks at earlier epochs", remedy)
    return design


def _known(attention: str, node: Node) -> None:
    if "@" in attention:
        raise node.error(f"attention {attention!r} has a place", "write places under at, without the @")
    try:
        parse_request(f"{attention}@neck")
    except AttendetError as error:
        raise node.error(error.message, error.remedy) from error
