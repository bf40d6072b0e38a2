"""`study.yaml` → a study's design, or an error with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from attendet.errors import AttendetError, OptionError, nearest_name
from attendet.study.design.checks import check, decidable, listing, node_at
from attendet.study.design.schema import Arm, StudyDesign
from attendet.utils.yaml_nodes import Node, parse, read_yaml_text

# Where pydantic speaks of Python to somebody who writes YAML.
WORDS = {
    "tuple_type": "write a list, as [a, b]",
    "dict_type": "write a mapping, as {a: b}",
    "model_type": "write a mapping, as {a: b}",
    "model_attributes_type": "write a mapping, as {a: b}",
    "string_pattern_mismatch": "names are letters, digits, points, hyphens and underscores",
}

Kind = TypeVar("Kind", bound=BaseModel)


def read_design(path: Path) -> StudyDesign:
    """Return the study that a file describes.

    Raises:
        OptionError: If it cannot be read, or is wrong; with file, row and column.
    """
    return parse_design(read_yaml_text(path, OptionError), str(path))


def parse_design(text: str, file: str = "study.yaml") -> StudyDesign:
    r"""Return the study that a text describes.

    Args:
        text: YAML.
        file: The name to report places under.

    Raises:
        OptionError: If it is wrong, with its place and, for a key or name that does not exist, the nearest that does.

    Example:
        >>> parse_design("name: a\nmodle: yolov5n")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: study.yaml:2:8: unknown key 'modle'; did you mean 'model'?
    """
    root = parse(text, file, OptionError)
    design = fitted(StudyDesign, "study", root, {"arms": Arm})
    if not design.baseline:
        design = design.model_copy(update={"baseline": next(iter(design.arms))})
    decidable(design.comparisons, node_at(root, ["arms"]))
    check(design, root)
    return design


def fitted(kind: type[Kind], what: str, root: Node, within: Mapping[str, type[BaseModel]]) -> Kind:
    """Return what a document describes.

    Args:
        kind: What it has to be.
        what: What that is called.
        root: The document.
        within: What stands under a key that has keys of its own.

    Raises:
        OptionError: If a key is missing, misspelt or wrong by itself, with its place.
    """
    if not isinstance(root.value, dict):
        raise root.error(f"a {what} is a mapping", "write a line such as name: first")
    try:
        return kind.model_validate(root.plain())
    except ValidationError as error:
        raise _misfit(root, error, kind, within) from error


def _misfit(
    root: Node, error: ValidationError, kind: type[BaseModel], within: Mapping[str, type[BaseModel]]
) -> AttendetError:
    """Return what is wrong at its place; a misspelt key explains a missing one, so it goes first."""
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    place, node = first["loc"], node_at(root, first["loc"])
    key = str(place[-1])
    if first["type"] == "extra_forbidden":
        known = within.get(str(place[0]), kind).model_fields if len(place) > 1 else kind.model_fields
        nearest = nearest_name(key, known)
        return node.error(f"unknown key {key!r}", f"did you mean {nearest!r}?" if nearest else listing(known))
    if first["type"] == "missing":
        return node.error(f"there is no {key}", f"add a line {key}: …")
    # A setting in a room of its own stands in `place` as recipe, the room, and one of the types it could have had.
    if place[-3:-2] == ("recipe",) and isinstance(first["input"], dict) and first["input"]:
        room, (name, value) = place[-2], next(iter(first["input"].items()))
        return node.error(f"unknown setting {room!r}", f"write {room}.{name}: {value}")
    message = WORDS.get(first["type"], first["msg"])
    written = ".".join(str(part) for part in place if part != "[key]")
    return node.error(f"{written} is {first['input']!r}", message[:1].lower() + message[1:])
