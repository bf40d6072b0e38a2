"""Match the tensors of a file with the tensors of a model by structure, regardless of row numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from attendet.utils.limits import MAX_KEY_LENGTH
from attendet.weights.align.foreign_attention import rename_attention
from attendet.weights.align.load_report import LoadReport
from attendet.weights.align.module_tensors import TensorMatch, match_tensors, name_grouping
from attendet.weights.align.row_matching import ClassNames, file_row_prefix, match_rows, row_prefix, rows_of
from attendet.weights.align.wrapper_prefixes import match_prefixes

_MAX_KEY_DEPTH = 40


@dataclass(frozen=True)
class AlignedTensors:
    """The values to load into a model.

    Attributes:
        values: Values by key of the model, with the shapes and dtypes of the model.
        report: The tensors that were kept, are new, were dropped, or have another shape.
        sources: Keys of the file by key of the model, of all values that the file contains.
    """

    values: dict[str, Tensor]
    report: LoadReport
    sources: dict[str, str]


def align_tensors(
    model: Mapping[str, Tensor],
    file: Mapping[str, Tensor],
    *,
    model_names: Sequence[str] | None = None,
    file_names: Sequence[str] | None = None,
    attentions: Mapping[str, nn.Module] | None = None,
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
        attentions: The attention modules of the model by path. Tensors of other implementations of the same attention
            are then found in the file, and have the same effect in the model. Our own tensors that such a file lacks
            have their published values and count as kept.

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
    plausible = {key: value for key, value in file.items() if _is_plausible(key)}
    prefix = row_prefix(model)
    if prefix is None:
        matches = _match_by_name(model, attentions or {}, plausible)
    else:
        file_rows = rows_of(plausible, file_row_prefix(plausible, prefix))
        names = ClassNames(model_names, file_names)
        matches = match_rows(rows_of(model, prefix, attentions), file_rows, names)
    values = {
        key: match.value.to(model[key].dtype).reshape(model[key].shape)
        for key, match in matches.items()
        if match.value is not None
    }
    used = {match.key for match in matches.values()}
    report = LoadReport(
        kept=tuple(key for key in model if key in matches and matches[key].whole),
        new=tuple(key for key in model if key not in matches),
        dropped=tuple(key for key in file if key not in used),
        reshaped=tuple(key for key in model if key in matches and not matches[key].whole),
        merged=tuple(key for key in model if key in values and not matches[key].whole),
    )
    sources = {key: match.key for key, match in matches.items() if key in values and match.key is not None}
    return AlignedTensors(values, report, sources)


def _match_by_name(
    model: Mapping[str, Tensor], attentions: Mapping[str, nn.Module], file: Mapping[str, Tensor]
) -> dict[str, TensorMatch]:
    file_keys = match_prefixes(model, file)
    renamed = rename_attention(model, attentions, {name: file[key] for name, key in file_keys.items()})
    matches = renamed.restore_keys(match_tensors(model, renamed.tensors, name_grouping(model)))
    return {key: replace(match, key=match.key and file_keys[match.key]) for key, match in matches.items()}


def _is_plausible(key: str) -> bool:
    # No module has longer or deeper keys. The limits keep the work on each part of a key small.
    return len(key) <= MAX_KEY_LENGTH and key.count(".") <= _MAX_KEY_DEPTH
