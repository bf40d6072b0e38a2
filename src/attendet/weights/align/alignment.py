"""Match the tensors of a file with the tensors of a model by structure, regardless of row numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.limits import MAX_KEY_LENGTH
from attendet.weights.align.head_transfer import class_sources, head_keys, match_heads, read_head
from attendet.weights.align.load_report import LoadReport
from attendet.weights.align.module_tensors import (
    ModuleTensors,
    TensorMatch,
    match_tensors,
    name_grouping,
    same_kind,
)
from attendet.weights.align.sequence_pairing import pair_sequences
from attendet.weights.align.wrapper_prefixes import match_prefixes

_MAX_ROWS = 1000
_MAX_KEY_DEPTH = 40
_ROW_KEY = re.compile(r"((?:[^.]*\.)*?)(0|[1-9][0-9]{0,5})\.(.+)", re.DOTALL)


@dataclass(frozen=True)
class ClassNames:
    """The class names of a model and of a file, in the order of their indices; None if they are unknown.

    Attributes:
        model: Class names of the model.
        file: Class names of the file.
    """

    model: Sequence[str] | None = None
    file: Sequence[str] | None = None


@dataclass(frozen=True)
class AlignedTensors:
    """The values to load into a model.

    Attributes:
        values: Values by key of the model, with the shapes and dtypes of the model.
        report: The tensors that were kept, are new, were dropped, or have another shape.
    """

    values: dict[str, Tensor]
    report: LoadReport


def align_tensors(
    model: Mapping[str, Tensor],
    file: Mapping[str, Tensor],
    *,
    model_names: Sequence[str] | None = None,
    file_names: Sequence[str] | None = None,
    foreign: Mapping[str, str] | None = None,
) -> AlignedTensors:
    """Return the values that a model takes from the tensors of a file.

    If all keys of the model are `{prefix}{row}.…`, as in a detector (`model.9.…`) or an `nn.Sequential`, rows are
    matched in order by kind and shape. As many rows as possible are paired with a row of the same kind. Among these
    pairings, the one that keeps the most tensors is used. Rows are of the same kind if they are equal except for
    widths, repeats, and attention inside. In paired rows, every layer of the same shape is kept; a convolution and its
    batch norm are kept together or not at all. Rows that were inserted, appended, removed, or replaced by rows of
    another kind therefore do not affect the other rows, and a model of other widths takes no weights. Two equal
    neighboring rows cannot be distinguished; the later one is then treated as new.

    If the classes differ, the detection head keeps boxes, objectness, and the classes of the same name.

    The tensors of any other model are matched by name and shape, after the prefix of a wrapper is removed or added.

    Args:
        model: The state dict of the model.
        file: The tensors of the file.
        model_names: Class names of the model in the order of their indices, if known.
        file_names: Class names of the file in the order of their indices, if known.
        foreign: Beginnings of keys inside modules of other projects, and the beginnings in attendet's modules:
            `{"mlp.1.": "fc1."}`.

    Raises:
        WeightsError: If the model or the file has more than 1,000 rows.

    Example:
        >>> import torch
        >>> file = {f"model.{row}.conv.weight": torch.full((8, 8, 3, 3), float(row)) for row in range(2)}
        >>> model = {f"model.{row}.conv.weight": torch.zeros(8, 8, 3, 3) for row in (0, 2)}
        >>> model["model.1.fc.weight"] = torch.zeros(8, 8)
        >>> aligned = align_tensors(model, file)
        >>> print(aligned.report)
        kept 2 of 3 tensors
        new: 1 tensor (row 1)
        >>> aligned.values["model.2.conv.weight"].unique()
        tensor([1.])
    """
    file_keys = _translated_keys([key for key in file if _is_plausible(key)], model, foreign or {})
    translated = {name: file[key] for name, key in file_keys.items()}
    prefix = _row_prefix(model)
    matches = (
        _match_by_name(model, translated)
        if prefix is None
        else _match_by_row(
            model, prefix, translated, _file_prefix(translated, prefix), ClassNames(model_names, file_names)
        )
    )
    values = {
        key: match.value.to(model[key].dtype).reshape(model[key].shape)
        for key, match in matches.items()
        if match.value is not None
    }
    used = {file_keys[match.key] for match in matches.values()}
    report = LoadReport(
        kept=tuple(key for key in model if key in matches and matches[key].whole),
        new=tuple(key for key in model if key not in matches),
        dropped=tuple(key for key in file if key not in used),
        reshaped=tuple(key for key in model if key in matches and not matches[key].whole),
        merged=tuple(key for key in model if key in values and not matches[key].whole),
    )
    return AlignedTensors(values, report)


def _match_by_name(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> dict[str, TensorMatch]:
    file_keys = match_prefixes(model, file)
    renamed = {name: file[key] for name, key in file_keys.items()}
    matches = match_tensors(model, renamed, name_grouping(model))
    return {key: TensorMatch(file_keys[match.key], match.value, match.whole) for key, match in matches.items()}


def _match_by_row(
    model: Mapping[str, Tensor], prefix: str, file: Mapping[str, Tensor], file_prefix: str, names: ClassNames
) -> dict[str, TensorMatch]:
    model_rows, file_rows = _rows(model, prefix), _rows(file, file_prefix)
    # Rows of equal shapes have equal scores, so each pair of shapes is scored once.
    shape_ids = {
        shapes: i for i, shapes in enumerate(dict.fromkeys(row.shapes for _, row in (*model_rows, *file_rows)))
    }
    model_ids, file_ids = ([shape_ids[row.shapes] for _, row in rows] for rows in (model_rows, file_rows))
    known: dict[tuple[int, int], int] = {}

    def score(i: int, j: int) -> int:
        pair = model_ids[i], file_ids[j]
        if pair not in known:
            # The number of pairs counts first. If only kept tensors counted, the weights of a model of another size
            # would move to the next stage, which has their widths. Among equally many kept tensors, rows of equal
            # shapes are preferred to rows that merely contain the same tensors.
            matches = _match_row(model_rows[i][1], file_rows[j][1], names)
            kept = sum(match.value is not None for match in matches.values())
            equal = pair[0] == pair[1]
            known[pair] = (len(model) + 1 + kept) * (len(model_rows) + 1) + equal if matches else 0
        return known[pair]

    found: dict[str, TensorMatch] = {}
    for i, j in pair_sequences(len(model_rows), len(file_rows), score):
        (number, row), (file_number, source) = model_rows[i], file_rows[j]
        for key, match in _match_row(row, source, names).items():
            file_key = f"{file_prefix}{file_number}.{match.key}"
            found[f"{prefix}{number}.{key}"] = TensorMatch(file_key, match.value, match.whole)
    return found


def _match_row(model: ModuleTensors, file: ModuleTensors, names: ClassNames) -> dict[str, TensorMatch]:
    model_head, file_head = read_head(model.tensors), read_head(file.tensors)
    if model_head is None and file_head is None:
        return match_tensors(model.tensors, file.tensors, model.grouping) if same_kind(model, file) else {}
    if model_head is None or file_head is None:
        return {}
    sources = class_sources(model_head.num_classes, file_head.num_classes, names.model, names.file)
    heads = {*head_keys(model_head), *head_keys(file_head)}
    others = ({key: tensor for key, tensor in row.tensors.items() if key not in heads} for row in (model, file))
    return {**match_heads(model_head, file_head, sources), **match_tensors(*others, grouping=model.grouping)}


def _rows(state: Mapping[str, Tensor], prefix: str) -> list[tuple[int, ModuleTensors]]:
    """Return the number and the tensors of each row below a prefix, in order."""
    rows: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        parts = _ROW_KEY.fullmatch(key)
        if parts and parts[1] == prefix:
            rows.setdefault(int(parts[2]), {})[parts[3]] = tensor
    if len(rows) > _MAX_ROWS:
        raise WeightsError(f"a model must have at most {_MAX_ROWS:,} rows, got {len(rows):,}")
    return [(number, ModuleTensors(rows[number])) for number in sorted(rows)]


def _row_prefix(model: Mapping[str, Tensor]) -> str | None:
    """Return the text before the row number that all keys of a model share, or None if its keys are not rows."""
    matches = [_ROW_KEY.fullmatch(key) for key in model]
    prefixes = {parts[1] if parts else None for parts in matches}
    return prefixes.pop() if len(prefixes) == 1 else None


def _file_prefix(file: Mapping[str, Tensor], model_prefix: str) -> str:
    """Return the text before the row number in the keys of a file: the model's, or else that of most of its keys."""
    matches = (_ROW_KEY.fullmatch(key) for key in file)
    prefixes = Counter(parts[1] for parts in matches if parts)
    most = prefixes.most_common(2)
    if model_prefix in prefixes or not most or (len(most) > 1 and most[0][1] == most[1][1]):
        return model_prefix
    return most[0][0]


def _translated_keys(keys: Sequence[str], model: Mapping[str, Tensor], foreign: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from attendet's names for the keys of a file to the keys themselves."""
    # A model that has such keys itself contains modules of the other project.
    used = {old: new for old, new in foreign.items() if not any(f".{old}" in f".{key}" for key in model)}
    names = {key: key for key in keys}
    for key in keys:
        name = key
        for old, new in used.items():
            name = f".{name}".replace(f".{old}", f".{new}", 1)[1:]
        if name not in names:
            names[name] = names.pop(key)
    return names


def _is_plausible(key: str) -> bool:
    # No module has longer or deeper keys. The limits keep the work on each part of a key small.
    return len(key) <= MAX_KEY_LENGTH and key.count(".") <= _MAX_KEY_DEPTH
