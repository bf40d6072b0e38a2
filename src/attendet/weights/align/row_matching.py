"""Pair the rows of a model with the rows of a file, and match the tensors of each pair."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from attendet.attention.base import published_values
from attendet.errors import WeightsError
from attendet.weights.align.foreign_attention import rename_attention
from attendet.weights.align.head_tensors import read_head
from attendet.weights.align.head_transfer import class_sources, match_heads
from attendet.weights.align.module_tensors import ModuleTensors, TensorMatch, match_tensors, same_kind
from attendet.weights.align.sequence_pairing import pair_sequences

_MAX_ROWS = 1000
_ROW_KEY = re.compile(r"((?:[^.]*\.)*?)(0|[1-9][0-9]{0,5})\.(.+)", re.DOTALL)
_ROW_PATH = re.compile(r"(0|[1-9][0-9]{0,5})(?:\.(.+))?", re.DOTALL)


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
class NumberedRow:
    """A row of a model or a file: `model.9.…`.

    Attributes:
        number: Its number.
        prefix: How its keys begin, with the dot: "model.9.".
        module: Its tensors, by key relative to the row.
        attentions: The attention modules in a row of a model, by path relative to the row; empty for a file.
    """

    number: int
    prefix: str
    module: ModuleTensors
    attentions: Mapping[str, nn.Module]


def row_prefix(model: Iterable[str]) -> str | None:
    """Return the text before the row number that all keys of a model share, or None if its keys are not rows.

    Example:
        >>> row_prefix(["model.0.conv.weight", "model.1.bn.bias"]), row_prefix(["model.0.weight", "head.weight"])
        ('model.', None)
    """
    matches = [_ROW_KEY.fullmatch(key) for key in model]
    prefixes = {parts[1] if parts else None for parts in matches}
    return prefixes.pop() if len(prefixes) == 1 else None


def file_row_prefix(file: Iterable[str], model_prefix: str) -> str:
    """Return the text before the row number in the keys of a file: the model's, or else that of most of its keys."""
    matches = (_ROW_KEY.fullmatch(key) for key in file)
    prefixes = Counter(parts[1] for parts in matches if parts)
    most = prefixes.most_common(2)
    if model_prefix in prefixes or not most or (len(most) > 1 and most[0][1] == most[1][1]):
        return model_prefix
    return most[0][0]


def rows_of(
    state: Mapping[str, Tensor], prefix: str, attentions: Mapping[str, nn.Module] | None = None
) -> list[NumberedRow]:
    """Return the rows below a prefix, in order.

    Args:
        state: A state dict.
        prefix: The text before the row numbers.
        attentions: The attention modules of a model by path.

    Raises:
        WeightsError: If there are more than 1,000 rows.
    """
    rows: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        parts = _ROW_KEY.fullmatch(key)
        if parts and parts[1] == prefix:
            rows.setdefault(int(parts[2]), {})[parts[3]] = tensor
    if len(rows) > _MAX_ROWS:
        raise WeightsError(f"a model must have at most {_MAX_ROWS:,} rows, got {len(rows):,}")
    inside: dict[int, dict[str, nn.Module]] = {number: {} for number in rows}
    for path, module in (attentions or {}).items():
        parts = _ROW_PATH.fullmatch(path.removeprefix(prefix)) if path.startswith(prefix) else None
        if parts and int(parts[1]) in inside:
            inside[int(parts[1])][parts[2] or ""] = module
    return [
        NumberedRow(number, f"{prefix}{number}.", ModuleTensors(rows[number]), inside[number])
        for number in sorted(rows)
    ]


def match_rows(model: Sequence[NumberedRow], file: Sequence[NumberedRow], names: ClassNames) -> dict[str, TensorMatch]:
    """Return the counterparts of a model's tensors by key of the model.

    Args:
        model: The rows of the model.
        file: The rows of the file.
        names: The class names of both.
    """
    # Rows of equal shapes have equal scores, so each pair of shapes is scored once.
    shape_ids = {shapes: i for i, shapes in enumerate(dict.fromkeys(row.module.shapes for row in (*model, *file)))}
    model_ids, file_ids = ([shape_ids[row.module.shapes] for row in rows] for rows in (model, file))
    tensors = sum(len(row.module.tensors) for row in model)
    known: dict[tuple[int, int], int] = {}

    def score(i: int, j: int) -> int:
        pair = model_ids[i], file_ids[j]
        if pair not in known:
            # The number of pairs counts first. If only kept tensors counted, the weights of a model of another size
            # would move to the next stage, which has their widths. Among equally many kept tensors, rows of equal
            # shapes are preferred to rows that merely contain the same tensors.
            matches = _match_row(model[i], file[j], names)
            kept = sum(match.value is not None for match in matches.values())
            equal = pair[0] == pair[1]
            known[pair] = (tensors + 1 + kept) * (len(model) + 1) + equal if matches else 0
        return known[pair]

    pairs = [(model[i], file[j]) for i, j in pair_sequences(len(model), len(file), score)]
    found: dict[str, TensorMatch] = _rows_without_weights(model, pairs)
    for row, source in pairs:
        for key, match in _match_row(row, source, names).items():
            file_key = None if match.key is None else source.prefix + match.key
            found[row.prefix + key] = replace(match, key=file_key)
    return found


def _match_row(model: NumberedRow, file: NumberedRow, names: ClassNames) -> dict[str, TensorMatch]:
    model_head, file_head = (read_head(row.module.outside_attention) for row in (model, file))
    grouping = model.module.grouping
    if model_head is None and file_head is None:
        renamed = rename_attention(model.module.tensors, model.attentions, file.module.tensors)
        if not same_kind(model.module, ModuleTensors(renamed.tensors)):
            return {}
        return renamed.restore_keys(match_tensors(model.module.tensors, renamed.tensors, grouping))
    if model_head is None or file_head is None:
        return {}
    sources = class_sources(model_head.num_classes, file_head.num_classes, names.model, names.file)
    matches = match_heads(model_head, file_head, sources)
    if not matches:
        return {}
    heads = {*model_head.keys(), *file_head.keys()}
    others = [{key: value for key, value in row.module.tensors.items() if key not in heads} for row in (model, file)]
    return {**matches, **match_tensors(others[0], others[1], grouping)}


def _rows_without_weights(
    model: Sequence[NumberedRow], pairs: Sequence[tuple[NumberedRow, NumberedRow]]
) -> dict[str, TensorMatch]:
    """Return the tensors of our own in rows whose attention has no weights, such as SimAM, if the file has such a row.

    A file of another project has no tensors of such a row, as of every row without weights. The numbers of the rows
    before and after it show that it is there.
    """
    partners = {row.number: partner.number for row, partner in pairs}
    found: dict[str, TensorMatch] = {}
    for before, row, after in zip(model, model[1:], model[2:], strict=False):
        published = published_values(row.attentions[""]) if "" in row.attentions else {}
        if row.number in partners or before.number not in partners or after.number not in partners:
            continue
        same_distance = after.number - before.number == partners[after.number] - partners[before.number]
        if same_distance and published.keys() == row.module.tensors.keys():
            found |= {row.prefix + key: TensorMatch(None, value, whole=True) for key, value in published.items()}
    return found
