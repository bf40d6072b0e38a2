"""The keys that a model file must have."""

from __future__ import annotations

from collections.abc import Mapping

from attendet.errors import Location, ModelFileError, nearest_name
from attendet.models.yaml.scales import has_scales
from attendet.utils.yaml_nodes import Node

KEYS = ("nc", "depth_multiple", "width_multiple", "anchors", "backbone", "head")
_MULTIPLES = ("depth_multiple", "width_multiple")


def require_keys(root: Node) -> dict[str, Node]:
    """Return the mapping of a file, after checking that it has all required keys, except for `anchors`.

    Args:
        root: The content of the file.

    Raises:
        ModelFileError: If a key is missing; with the remedy to rename a similar key.

    Example:
        >>> from attendet.utils.yaml_nodes import parse
        >>> list(require_keys(parse("{nc: 1, scales: {n: [1, 1, 1024]}, backbone: [], head: []}", "a.yaml")))
        ['nc', 'scales', 'backbone', 'head']
    """
    keys = root.value
    if not isinstance(keys, dict):
        raise root.error(f"a model file must be a mapping with the keys {', '.join(KEYS)}")
    for key in ("nc", *_size_keys(root, keys), "backbone", "head"):
        if key not in keys:
            raise missing_key(key, keys, root.location)
    return keys


def _size_keys(root: Node, keys: Mapping[str, Node]) -> tuple[str, ...]:
    """Return the keys of the size that a file must have, by the keys that it has or misspells."""
    if has_scales(keys):
        return ()
    meant = next((key for key in (*_MULTIPLES, "scales") if key in keys or _similar(key, keys)), None)
    if meant is None:
        raise root.error(
            "`scales`, or `depth_multiple` and `width_multiple`, must be among the keys",
            remedy="add the sizes like `scales: {n: [0.33, 0.25, 1024]}`",
        )
    return ("scales",) if meant == "scales" else _MULTIPLES


def missing_key(key: str, keys: Mapping[str, Node], where: Location, remedy: str | None = None) -> ModelFileError:
    """Return the error about a missing key.

    Args:
        key: The missing key.
        keys: The values of the file by key. If one of the keys is similar, the remedy is to rename it.
        where: The place of the error if no key is similar.
        remedy: The remedy if no key is similar.
    """
    nearest = _similar(key, keys)
    place, remedy = (keys[nearest].location, f"rename `{nearest}` to `{key}`") if nearest else (where, remedy)
    return ModelFileError(f"`{key}` is missing", where=place, remedy=remedy)


def _similar(key: str, keys: Mapping[str, Node]) -> str | None:
    """Return the key that is probably meant; `scale` is a key of its own."""
    return nearest_name(key, set(keys) - {*KEYS, "scales", "scale"})
