"""Match the keys of a model and a file that differ by a prefix, as wrappers around a model add it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from torch import Tensor

from attendet.utils.modules import WRAPPER_PREFIXES
from attendet.weights.align.module_tensors import is_compatible

_PREFIXES = (*WRAPPER_PREFIXES, "model.", "backbone.", "network.")
_MAX_COMMON_PARTS = 4


def match_prefixes(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> dict[str, str]:
    """Return a mapping from keys of the model to keys of the file, after one prefix is removed or added.

    The prefix whose change makes the most tensors fit is chosen. If several prefixes make equally many but different
    tensors fit, or no prefix makes more tensors fit, the keys of the file stay as they are.

    Args:
        model: The state dict of the model.
        file: The tensors of the file.

    Example:
        >>> import torch
        >>> match_prefixes({"fc.weight": torch.ones(2, 3)}, {"module.fc.weight": torch.zeros(2, 3)})
        {'fc.weight': 'module.fc.weight'}
    """
    unchanged = {key: key for key in file}
    best, fitting, ambiguous = unchanged, _fitting(model, file, unchanged), False
    changes = [(old, "") for old in (*_known_prefixes(file), *_common_prefixes(file))]
    changes += [("", new) for new in (*_known_prefixes(model), *_common_prefixes(model))]
    changes += [(old, new) for old in _common_prefixes(file) for new in _common_prefixes(model)]
    for old, new in dict.fromkeys(changes):
        renamed = {new + key.removeprefix(old): key for key in file}
        if len(renamed) < len(file):
            continue  # two keys of the file would become one
        found = _fitting(model, file, renamed)
        if len(found) > len(fitting):
            best, fitting, ambiguous = renamed, found, False
        elif len(found) == len(fitting) and found != fitting:
            ambiguous = True
    return unchanged if ambiguous else best


def _known_prefixes(keys: Iterable[str]) -> list[str]:
    return [prefix for prefix in _PREFIXES if any(key.startswith(prefix) for key in keys)]


def _common_prefixes(keys: Iterable[str]) -> Sequence[str]:
    """Return the prefixes that all keys share, shortest first, at most four."""
    paths = [key.split(".")[:-1] for key in keys]
    # The first and the last path in sorted order share exactly the parts that all paths share.
    shared = takewhile(
        lambda pair: pair[0] == pair[1], zip(min(paths, default=[]), max(paths, default=[]), strict=False)
    )
    parts = [part for part, _ in shared][:_MAX_COMMON_PARTS]
    return [".".join(parts[: end + 1]) + "." for end in range(len(parts))]


def _fitting(model: Mapping[str, Tensor], file: Mapping[str, Tensor], renamed: Mapping[str, str]) -> dict[str, str]:
    return {name: key for name, key in renamed.items() if name in model and is_compatible(model[name], file[key])}
