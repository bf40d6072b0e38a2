"""Weights into a model by structure: what still exists finds its place, whatever the row numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.limits import MAX_KEY_LENGTH
from attendet.weights.align.head_transfer import class_sources, fit_head, head_keys, read_head
from attendet.weights.align.layers import ModuleTensors, TensorMatch, fit, name_units, same_kind
from attendet.weights.align.load_report import LoadReport
from attendet.weights.align.sequence_pairing import in_order
from attendet.weights.align.wrapper_prefixes import see_through

MOST_ROWS = 1000
DEEPEST_KEY = 40
ROW_KEY = re.compile(r"((?:[^.]*\.)*?)(0|[1-9][0-9]{0,5})\.(.+)", re.DOTALL)


@dataclass(frozen=True)
class Names:
    """The classes' names, where they are known.

    Attributes:
        model: Of the model.
        file: Of the file.
    """

    model: Sequence[str] | None = None
    file: Sequence[str] | None = None


@dataclass(frozen=True)
class Aligned:
    """What to load into a model.

    Attributes:
        values: Keys of the model and their values, of its shapes and dtypes.
        report: What was kept, and what was not.
    """

    values: dict[str, Tensor]
    report: LoadReport


def align(
    model: Mapping[str, Tensor],
    file: Mapping[str, Tensor],
    *,
    model_names: Sequence[str] | None = None,
    file_names: Sequence[str] | None = None,
    foreign: Mapping[str, str] | None = None,
) -> Aligned:
    """Return what a model takes from a file's tensors.

    Where all keys of a model are `{prefix}{row}.…`, as those of a detector (`model.9.…`) and of an `nn.Sequential` are,
    rows are matched in order by kind and shape: as many rows as possible with one of their kind, and of the ways to do
    that the one that keeps most tensors. Rows are of a kind that are equal but for widths, repeats and attention
    inside; of these every layer is kept that has the same shape, a convolution and its batch norm together or not at
    all. So rows inserted, appended, removed, or replaced by others of another kind leave all the rest their weights,
    and a model of other widths takes none. Of two equal rows side by side the later is taken for the new one, as
    nothing tells them apart.

    Changed classes leave the head its boxes, objectness, and the classes of the same name.

    Any other model is matched by name and shape, through a wrapper's prefix where there is one.

    Args:
        model: The model's state dict.
        file: The file's tensors.
        model_names: Names of the model's classes, in order, if known.
        file_names: Names of the file's classes, in order, if known.
        foreign: Beginnings of keys inside others' modules, and what they are in ours: `{"mlp.1.": "fc1."}`.

    Raises:
        WeightsError: If a model of rows, or a file for one, has more than 1,000 of them.

    Example:
        >>> import torch
        >>> file = {f"model.{row}.conv.weight": torch.full((8, 8, 3, 3), float(row)) for row in range(2)}
        >>> model = {f"model.{row}.conv.weight": torch.zeros(8, 8, 3, 3) for row in (0, 2)}
        >>> model["model.1.fc.weight"] = torch.zeros(8, 8)
        >>> aligned = align(model, file)
        >>> print(aligned.report)
        kept 2 of 3 tensors
        new: 1 tensor (row 1)
        >>> aligned.values["model.2.conv.weight"].unique()
        tensor([1.])
    """
    keys = _translated([key for key in file if _sound(key)], model, foreign or {})
    given = {name: file[key] for name, key in keys.items()}
    prefix = _row_prefix(model)
    matches = (
        _by_name(model, given)
        if prefix is None
        else _by_row(model, prefix, given, _file_prefix(given, prefix), Names(model_names, file_names))
    )
    values = {
        key: match.value.to(model[key].dtype).reshape(model[key].shape)
        for key, match in matches.items()
        if match.value is not None
    }
    used = {keys[match.key] for match in matches.values()}
    report = LoadReport(
        kept=tuple(key for key in model if key in matches and matches[key].whole),
        new=tuple(key for key in model if key not in matches),
        dropped=tuple(key for key in file if key not in used),
        reshaped=tuple(key for key in model if key in matches and not matches[key].whole),
        merged=tuple(key for key in model if key in values and not matches[key].whole),
    )
    return Aligned(values, report)


def _by_name(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> dict[str, TensorMatch]:
    names = see_through(model, file)
    renamed = {name: file[key] for name, key in names.items()}
    matches = fit(model, renamed, name_units(model))
    return {key: TensorMatch(names[match.key], match.value, match.whole) for key, match in matches.items()}


def _by_row(
    model: Mapping[str, Tensor], prefix: str, file: Mapping[str, Tensor], file_prefix: str, names: Names
) -> dict[str, TensorMatch]:
    ours, theirs = _rows(model, prefix), _rows(file, file_prefix)
    forms = {form: number for number, form in enumerate(dict.fromkeys(row.form for _, row in (*ours, *theirs)))}
    our_forms, their_forms = ([forms[row.form] for _, row in rows] for rows in (ours, theirs))
    known: dict[tuple[int, int], int] = {}

    def worth(i: int, j: int) -> int:
        pair = our_forms[i], their_forms[j]
        if pair not in known:
            # Pairs count first. By kept tensors alone, weights of another size would slip into the next stage, whose
            # widths are theirs. Among kept ones, rows that are equal throughout are better than rows that hold both.
            matches = _fit_row(ours[i][1], theirs[j][1], names)
            kept = sum(match.value is not None for match in matches.values())
            equal = pair[0] == pair[1]
            known[pair] = (len(model) + 1 + kept) * (len(ours) + 1) + equal if matches else 0
        return known[pair]

    found: dict[str, TensorMatch] = {}
    for i, j in in_order(len(ours), len(theirs), worth):
        (own, row), (other, source) = ours[i], theirs[j]
        for key, match in _fit_row(row, source, names).items():
            found[f"{prefix}{own}.{key}"] = TensorMatch(f"{file_prefix}{other}.{match.key}", match.value, match.whole)
    return found


def _fit_row(ours: ModuleTensors, theirs: ModuleTensors, names: Names) -> dict[str, TensorMatch]:
    our_head, their_head = read_head(ours.tensors), read_head(theirs.tensors)
    if our_head is None and their_head is None:
        return fit(ours.tensors, theirs.tensors, ours.unit) if same_kind(ours, theirs) else {}
    if our_head is None or their_head is None:
        return {}
    sources = class_sources(our_head.num_classes, their_head.num_classes, names.model, names.file)
    heads = {*head_keys(our_head), *head_keys(their_head)}
    rest = ({key: tensor for key, tensor in row.tensors.items() if key not in heads} for row in (ours, theirs))
    return {**fit_head(our_head, their_head, sources), **fit(*rest, unit=ours.unit)}


def _rows(state: Mapping[str, Tensor], prefix: str) -> list[tuple[int, ModuleTensors]]:
    """Return the rows below a prefix and their numbers, in order."""
    rows: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        place = ROW_KEY.fullmatch(key)
        if place and place[1] == prefix:
            rows.setdefault(int(place[2]), {})[place[3]] = tensor
    if len(rows) > MOST_ROWS:
        raise WeightsError(f"there are {len(rows):,} rows", remedy=f"no detector has more than {MOST_ROWS:,}")
    return [(number, ModuleTensors(rows[number])) for number in sorted(rows)]


def _row_prefix(model: Mapping[str, Tensor]) -> str | None:
    """Return what stands before the row number in every key of a model, or None where it is no list of rows."""
    places = [ROW_KEY.fullmatch(key) for key in model]
    prefixes = {place[1] if place else None for place in places}
    return prefixes.pop() if len(prefixes) == 1 else None


def _file_prefix(file: Mapping[str, Tensor], wanted: str) -> str:
    """Return what stands before the row number in the keys of a file: as in the model, or as in most of its keys."""
    places = (ROW_KEY.fullmatch(key) for key in file)
    prefixes = Counter(place[1] for place in places if place)
    most = prefixes.most_common(2)
    if wanted in prefixes or not most or (len(most) > 1 and most[0][1] == most[1][1]):
        return wanted
    return most[0][0]


def _translated(keys: Sequence[str], model: Mapping[str, Tensor], foreign: Mapping[str, str]) -> dict[str, str]:
    """Return our names of a file's keys: the name → the file's key."""
    # A model that has such keys itself is one of those others.
    used = {theirs: ours for theirs, ours in foreign.items() if not any(f".{theirs}" in f".{key}" for key in model)}
    names = {key: key for key in keys}
    for key in keys:
        name = key
        for theirs, ours in used.items():
            name = f".{name}".replace(f".{theirs}", f".{ours}", 1)[1:]
        if name not in names:
            names[name] = names.pop(key)
    return names


def _sound(key: str) -> bool:
    # No module has longer ones; what is asked of every part of a key stays cheap.
    return len(key) <= MAX_KEY_LENGTH and key.count(".") <= DEEPEST_KEY
