"""Read search.yaml into a design, with row and column in every error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attendet.errors import AttendetError, OptionError
from attendet.models.attention_request import parse_request
from attendet.study.design.checks import check_design, node_at, require_decidable
from attendet.study.design.design_file import validate_document
from attendet.study.design.schema import DECIDED_BY_STUDY
from attendet.study.searching.search_design import SearchDesign, Space
from attendet.training.config import build_config
from attendet.utils.yaml_nodes import Node, parse, read_yaml_text

# Settings that the search decides, and the key or command that a user sets them with, if they differ from a study.
DECIDED_BY_SEARCH: Mapping[str, str] = {
    **DECIDED_BY_STUDY,
    "data.fraction": "a data.yaml with fewer images",
    "model.attention": "search",
    "schedule.seed": "seed",
    "output.project": "attendet study search",
    "output.exist_ok": "attendet study search",
}


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
        >>> parse_search("{name: a, model: yolov5n, data: d.yaml, search: {attention: cba, at: neck}, trials: 2}")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: search.yaml:1:61: unknown attention 'cba'; did you mean 'cbam'?
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
    # The draft of the study has a control for each of the best candidates.
    require_decidable(2 * design.keep, node_at(root, ["keep"]))
    check_design(design.study(), root)
    if design.halving and not build_config(design.study().settings("baseline", design.seed)).validation.every_epoch:
        remedy = "remove it, or write halving: null"
        raise node_at(root, ["recipe", "validation.every_epoch"]).error("halving needs every epoch validated", remedy)
    return design


def _known(attention: str, node: Node) -> None:
    if "@" in attention:
        raise node.error(f"attention must not name a place, got {attention!r}", "write places under `at`")
    try:
        parse_request(f"{attention}@neck")
    except AttendetError as error:
        raise node.error(error.message, error.remedy) from error
