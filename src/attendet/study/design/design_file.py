"""Read study.yaml into a design, with row and column in every error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from attendet.errors import AttendetError, OptionError, nearest_name
from attendet.study.design.checks import check_design, known_names, node_at
from attendet.study.design.schema import Arm, StudyDesign
from attendet.utils.settings import describe_invalid
from attendet.utils.text import short_repr
from attendet.utils.yaml_nodes import Node, parse, read_yaml_text

# Replacements for messages of pydantic that talk about Python types, because users write YAML.
YAML_MESSAGES = {
    "tuple_type": "must be a list such as [a, b]",
    "dict_type": "must be a mapping such as {a: b}",
    "model_type": "must be a mapping such as {a: b}",
    "model_attributes_type": "must be a mapping such as {a: b}",
    "string_pattern_mismatch": "must consist of letters, digits, dots, hyphens, and underscores",
}

# The joint test of all arms lists their statistics for up to half a million sign choices.
MAX_ARMS = 64

Document = TypeVar("Document", bound=BaseModel)


def read_design(path: Path) -> StudyDesign:
    """Return the design in a study.yaml.

    Raises:
        OptionError: If the file cannot be read or is not a valid design, with file, row, and column.
    """
    return parse_design(read_yaml_text(path, OptionError), str(path))


def parse_design(text: str, file: str = "study.yaml") -> StudyDesign:
    r"""Return the design in the text of a study.yaml.

    Args:
        text: The text, in YAML.
        file: File name for error messages.

    Raises:
        OptionError: If the text is not a valid design, with its row and column and, for an unknown key or name, the
            most similar known one.

    Example:
        >>> parse_design("name: a\nmodle: yolov5n")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: study.yaml:2:8: unknown key 'modle'; did you mean 'model'?
    """
    root = parse(text, file, OptionError)
    design = validate_document(StudyDesign, "study", root, {"arms": Arm})
    if not design.baseline:
        design = design.model_copy(update={"baseline": next(iter(design.arms))})
    if len(design.arms) > MAX_ARMS:
        message = f"arms must have at most {MAX_ARMS} entries, got {len(design.arms)}"
        raise node_at(root, ["arms"]).error(message, "compare fewer arms")
    check_design(design, root)
    return design


def validate_document(kind: type[Document], what: str, root: Node, within: Mapping[str, type[BaseModel]]) -> Document:
    """Validate a YAML document against a schema.

    Args:
        kind: The schema.
        what: Name of the document for error messages.
        root: The document.
        within: Schemas of nested mappings, by the key that contains them.

    Raises:
        OptionError: If a key is missing, misspelled, or has an invalid value, with its row and column.
    """
    if not isinstance(root.value, dict):
        raise root.error(f"a {what} must be a mapping of keys to values", "write a line such as name: first")
    try:
        return kind.model_validate(root.plain())
    except ValidationError as error:
        raise _misfit(root, error, kind, within) from error


def _misfit(
    root: Node, error: ValidationError, kind: type[BaseModel], within: Mapping[str, type[BaseModel]]
) -> AttendetError:
    """Return the first error with its location. A misspelled key comes first, because it explains a missing one."""
    first = min(error.errors(), key=lambda issue: issue["type"] != "extra_forbidden")
    place, node = first["loc"], node_at(root, first["loc"])
    key = str(place[-1])
    if first["type"] == "extra_forbidden":
        known = within.get(str(place[0]), kind).model_fields if len(place) > 1 else kind.model_fields
        nearest = nearest_name(key, known)
        return node.error(f"unknown key {key!r}", f"did you mean {nearest!r}?" if nearest else known_names(known))
    if first["type"] == "missing":
        return node.error(f"the key {short_repr(key)} is missing", f"add a line {key}: …")
    # For settings that are nested in a section, `place` ends in recipe, the section, and one of the allowed types.
    if place[-3:-2] == ("recipe",) and isinstance(first["input"], dict) and first["input"]:
        section, (name, value) = place[-2], next(iter(first["input"].items()))
        return node.error(f"unknown setting {short_repr(section)}", f"write {section}.{name}: {value}")
    message = YAML_MESSAGES.get(first["type"], first["msg"])
    written = ".".join(str(part) for part in place if part != "[key]")
    return node.error(describe_invalid(written, message, first["input"]))
