"""Wrappers around a model put their names in front of its keys; here they are seen through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from torch import Tensor

from attendet.utils.modules import WRAPPER_PREFIXES
from attendet.weights.align.layers import fits

WRAPPERS = (*WRAPPER_PREFIXES, "model.", "backbone.", "network.")
MOST_WRAPPERS = 4


def see_through(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the names that a file's keys have in the model: the name → the file's key.

    They are the file's own, unless a prefix taken away from or put before them makes more tensors fit, and there is no
    other prefix that makes as many fit differently.

    Example:
        >>> import torch
        >>> see_through({"fc.weight": torch.ones(2, 3)}, {"module.fc.weight": torch.zeros(2, 3)})
        {'fc.weight': 'module.fc.weight'}
    """
    plain = {key: key for key in file}
    best, fitting, ambiguous = plain, _fitting(model, file, plain), False
    changes = [(old, "") for old in (*_wrappers(file), *_common(file))]
    changes += [("", new) for new in (*_wrappers(model), *_common(model))]
    changes += [(old, new) for old in _common(file) for new in _common(model)]
    for old, new in dict.fromkeys(changes):
        names = {new + key.removeprefix(old): key for key in file}
        if len(names) < len(file):
            continue  # two keys would become one
        found = _fitting(model, file, names)
        if len(found) > len(fitting):
            best, fitting, ambiguous = names, found, False
        elif len(found) == len(fitting) and found != fitting:
            ambiguous = True
    return plain if ambiguous else best


def _wrappers(keys: Iterable[str]) -> list[str]:
    return [wrapper for wrapper in WRAPPERS if any(key.startswith(wrapper) for key in keys)]


def _common(keys: Iterable[str]) -> Sequence[str]:
    """Return the prefixes that all keys share, shortest first, a few at most."""
    paths = [key.split(".")[:-1] for key in keys]
    # What the first and the last in alphabetical order share, all share.
    shared = takewhile(
        lambda pair: pair[0] == pair[1], zip(min(paths, default=[]), max(paths, default=[]), strict=False)
    )
    parts = [part for part, _ in shared][:MOST_WRAPPERS]
    return [".".join(parts[: end + 1]) + "." for end in range(len(parts))]


def _fitting(model: Mapping[str, Tensor], file: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, str]:
    return {name: key for name, key in names.items() if name in model and fits(model[name], file[key])}
