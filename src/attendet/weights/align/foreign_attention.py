"""Find attention modules of other implementations in a file, and give their tensors the keys of the model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

from torch import Tensor, nn

from attendet.attention.foreign_keys import Translation, number_order, translate
from attendet.weights.align.module_tensors import KeyPath, TensorMatch

# The tensors of one module of the file: their keys relative to the module, with their keys in the file.
_Unit: TypeAlias = Mapping[str, str]

# A module of a network has few children, and a file few times as many tensors as a network that takes weights from it.
_MAX_UNITS = 100
_MAX_PARTS = 8
_MAX_RATIO = 50


@dataclass(frozen=True)
class RenamedTensors:
    """The tensors of a file after the attention in them got the keys of the model.

    Attributes:
        tensors: The tensors by their new keys.
        sources: The keys in the file by new key; None for a published value that the file does not contain.
    """

    tensors: Mapping[str, Tensor]
    sources: Mapping[str, str | None]

    def restore_keys(self, matches: Mapping[str, TensorMatch]) -> dict[str, TensorMatch]:
        """Return matches with renamed tensors as matches with the tensors under their keys in the file."""
        return {key: replace(match, key=match.key and self.sources[match.key]) for key, match in matches.items()}


def rename_attention(
    model: Iterable[str], attentions: Mapping[str, nn.Module], file: Mapping[str, Tensor]
) -> RenamedTensors:
    """Return the tensors of a file, with attention under the keys and in the shapes of the model.

    A part of the file belongs to an attention module of the model if both are in the same module of the network, or
    have the same path, and `translate` recognizes the tensors. If several parts and several attention modules of one
    module of the network fit each other, equally many of both are matched in order. The tensors of our own that a
    recognized module lacks are added with their published values.

    Args:
        model: Keys of the model, or of a row of it.
        attentions: The attention modules of the model by path.
        file: The tensors of the file, or of a row of it.

    Example:
        >>> import torch
        >>> from attendet.attention import SqueezeExcite
        >>> model = nn.ModuleDict({"conv": nn.Conv2d(3, 64, 1), "attention": SqueezeExcite(64)})
        >>> file = {"conv.weight": torch.ones(64, 3, 1, 1), "se.fc.0.weight": torch.ones(4, 64)}
        >>> file["se.fc.2.weight"] = torch.ones(64, 4)
        >>> renamed = rename_attention(model.state_dict(), {"attention": model["attention"]}, file)
        >>> for key, source in renamed.sources.items():
        ...     print(key, source)
        conv.weight conv.weight
        attention.gate.range None
        attention.gate.fc1.weight se.fc.0.weight
        attention.gate.fc2.weight se.fc.2.weight
    """
    sources: dict[str, str | None] = {key: key for key in file}
    keys = set(model)
    if not attentions or len(file) > _MAX_RATIO * len(keys):
        return RenamedTensors(file, sources)
    sites = {_path(name): module for name, module in attentions.items()}
    found: dict[KeyPath, tuple[Translation, _Unit]] = {}
    for holder, unit in _units_by_holder(keys, sites, file):
        if holder in sites:
            translation = translate(sites[holder], {key: file[name] for key, name in unit.items()})
            found |= {holder: (translation, unit)} if translation else {}
        else:
            inside = {path: sites[path] for path in sites if path[: len(holder)] == holder and path not in found}
            found |= _assign(inside, unit, file)
    tensors = dict(file)
    for translation, unit in found.values():
        for key in translation.keys.values():
            del tensors[unit[key]], sources[unit[key]]
    for path, (translation, unit) in found.items():
        for key, value in translation.tensors.items():
            name = ".".join((*path, key))
            tensors[name] = value
            sources[name] = unit[translation.keys[key]] if key in translation.keys else None
    return RenamedTensors(tensors, sources)


def _units_by_holder(
    model: set[str], sites: Mapping[KeyPath, nn.Module], file: Mapping[str, Tensor]
) -> Iterator[tuple[KeyPath, _Unit]]:
    """Yield the innermost module of the model around each tensor that may belong to attention, innermost first.

    These are the tensors below the path of an attention module, and the tensors whose keys the model does not have.
    """
    holders = {path for key in model for path in _paths_down_to_site(_path(key)[:-1], sites)} | {()}
    units: defaultdict[KeyPath, dict[str, str]] = defaultdict(dict)
    for key in file:
        path = _path(key)
        holder = next(each for each in reversed(_paths_down_to_site(path[:-1], sites)) if each in holders)
        if holder in sites or key not in model:
            units[holder][".".join(path[len(holder) :])] = key
    yield from sorted(units.items(), key=lambda item: -len(item[0]))


def _paths_down_to_site(path: KeyPath, sites: Mapping[KeyPath, nn.Module]) -> Sequence[KeyPath]:
    """Return a path and all paths above it, outermost first; nothing below an attention module."""
    paths: list[KeyPath] = []
    for end in range(len(path) + 1):
        paths.append(path[:end])
        if path[:end] in sites:
            break
    return paths


def _assign(
    sites: Mapping[KeyPath, nn.Module], unit: _Unit, file: Mapping[str, Tensor]
) -> dict[KeyPath, tuple[Translation, _Unit]]:
    """Return the translations of the parts of a unit that belong to attention modules, by path of the module."""
    options = [(each, _translations(sites, each, file)) for each in _candidates(unit)]
    chosen: list[tuple[_Unit, Mapping[KeyPath, Translation]]] = []
    taken: set[str] = set()
    for each, translations in options:
        if translations and taken.isdisjoint(each.values()):
            chosen.append((each, translations))
            taken |= set(each.values())
    equal = Counter(frozenset(translations) for _, translations in chosen)
    position: Counter[frozenset[KeyPath]] = Counter()
    found: dict[KeyPath, tuple[Translation, _Unit]] = {}
    for each, translations in chosen:
        group = frozenset(translations)
        path = list(translations)[position[group]] if equal[group] == len(group) else None
        if path is not None and path not in found:
            found[path] = (translations[path], each)
            position[group] += 1
    return found


def _candidates(unit: _Unit) -> Iterator[_Unit]:
    """Yield the parts of a unit that may be one attention module: all of it, one child, or two children."""
    parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for key, name in unit.items():
        parts[key.partition(".")[0]][key] = name
    names = sorted(parts, key=number_order)
    if len(names) > _MAX_UNITS:
        return
    if len(names) > 1:
        yield unit
    yield from (parts[name] for name in names)
    if 2 < len(names) <= _MAX_PARTS:
        yield from (parts[first] | parts[second] for first, second in combinations(names, 2))


def _translations(
    sites: Mapping[KeyPath, nn.Module], unit: _Unit, file: Mapping[str, Tensor]
) -> dict[KeyPath, Translation]:
    """Return the translations of a unit for all modules that it fits; for the only module, also with other shapes."""
    tensors = {key: file[name] for key, name in unit.items()}
    found = {path: translation for path, module in sites.items() if (translation := translate(module, tensors))}
    whole = {path: translation for path, translation in found.items() if translation.whole}
    return whole or (found if len(sites) == 1 else {})


def _path(key: str) -> KeyPath:
    return tuple(key.split(".")) if key else ()
