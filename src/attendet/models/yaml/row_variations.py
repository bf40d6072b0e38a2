"""What forks build for the same row: other options, another block, or repeats.

Every variation of a row is a row of attendet, so that it can be written in the model file. docs/model-files.md has the
table of variations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from attendet.attention.catalog import attentions
from attendet.blocks.wiring import split_options
from attendet.errors import OptionError
from attendet.models.composites.block_names import find_composite
from attendet.models.yaml.argument_orders import MIN_WIDTH
from attendet.models.yaml.dialects import DIALECTS, REPEATED, read_attention_args
from attendet.models.yaml.model_file import LayerRow
from attendet.registry import normalize_name
from attendet.utils.yaml_nodes import Plain

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Variation:
    """A row that some forks build in place of the row in the file.

    Attributes:
        row: The row, with options by name.
        label: How it differs, such as `{kernel_size: 3}` or `CBAMC3`.
        is_common: Show it next to every reading. The others only explain printed parameter counts.
    """

    row: LayerRow
    label: str
    is_common: bool = True

    @property
    def reading(self) -> str:
        """The module and its options, which are the same for rows of different widths."""
        return f"{self.row.module} {flow_text(split_options(self.row.args)[1])}"


@dataclass(frozen=True)
class _Change:
    """A change of options, or of the module.

    Attributes:
        options: Options to set, or a function that returns them, given the options of the row.
        module: Name of the other module, with `{}` in place of the name in the file; None for the same module.
        kept: Options that the other module has as well; None for all.
        is_common: As in `Variation`.
    """

    options: Options | Callable[[Options], Options] = field(default_factory=dict)
    module: str | None = None
    kept: tuple[str, ...] | None = None
    is_common: bool = True

    def new_options(self, named: Options) -> Options:
        """Return the options to set, given the options of the row."""
        return self.options(named) if callable(self.options) else self.options


def variations(row: LayerRow, scale: Callable[[int], int], width: int) -> Iterator[Variation]:
    """Yield the rows that forks build in place of a row with attention, the most common first.

    An option that the row gives by name is not varied.

    Args:
        row: A row of a model file.
        scale: Scales a declared width by the width multiple.
        width: The width that a row declares for the channels of this row's input, before scaling.
    """
    positional, written = split_options(row.args)
    if row.module in attentions and find_composite(row.module) is None:
        yield from _attention_variations(row, written, scale, width)
    elif normalize_name(row.module) in _SUMS:
        for change in (_Change(), _Change({"norm": True})):
            yield from _apply([change], row, {}, written, positional)
    elif (composite := find_composite(row.module)) is not None:
        changes = [_Change(), *_structure_changes(row.module)]
        inner = [_Change(), *(change for change in _CHANGES.get(composite.attention, ()) if change.module is None)]
        for structure in changes:
            for change in inner:
                yield from _apply([structure, change], row, {}, written, positional)


def _attention_variations(
    row: LayerRow, written: Options, scale: Callable[[int], int], width: int
) -> Iterator[Variation]:
    attention = attentions.canonical(row.module)
    first = next(iter(split_options(row.args)[0]), None)
    is_declared = isinstance(first, int) and not isinstance(first, bool) and first >= MIN_WIDTH
    readings: list[Options] = []
    for dialect in (None, *DIALECTS.values()):
        try:
            options = read_attention_args(row.args, dialect, scale, attention).options
        except OptionError:
            continue
        if options not in readings:
            readings.append(options)
    for options in readings:
        is_usual = options == readings[0]
        for change in (_Change(), *_CHANGES.get(attention, ())):
            # Blocks need a width, and get that of the input.
            positional = [width] if is_declared or change.module is not None else []
            for variation in _apply([change], row, options, written, positional):
                label = variation.label if is_usual else f"{flow_text(dict(options))} {variation.label}".strip()
                yield replace(variation, label=label, is_common=is_usual and variation.is_common)


def _apply(
    changes: list[_Change], row: LayerRow, options: Options, written: Options, positional: Sequence[Plain]
) -> Iterator[Variation]:
    """Yield the changed row; for a row with several repeats, also with the repeats."""
    module, labels = row.module, []
    original = {**options, **written}
    named = original
    changed = 0
    for change in changes:
        if change.module is not None:
            module = change.module.format(module)
            named = {name: value for name, value in named.items() if change.kept is None or name in change.kept}
            labels.append(module)
        new = change.new_options(named)
        if set(new) & set(written):
            return
        named = {**named, **new}
        changed += bool(new) or change.module is not None
    is_common = all(change.is_common for change in changes) and changed <= 1
    extra = {name: value for name, value in named.items() if original.get(name) != value}
    labels += [flow_text(extra)] if extra else []
    for repeated in (False, True) if row.number > 1 and module in attentions else (False,):
        final = named | ({REPEATED: True} if repeated else {})
        if repeated and REPEATED in written:
            continue
        args = (*positional, *([final] if final else []))
        label = " ".join([*labels, *([f"repeated {row.number} times"] if repeated else [])])
        yield Variation(replace(row, module=module, args=args), label, is_common)


def _structure_changes(module: str) -> tuple[_Change, ...]:
    """Return the other structures that forks build under the name of a block with attention."""
    after = re.fullmatch(r"(?i)(.+?)[-_]?(C3k2|C3|C2f)", module)
    inside = re.fullmatch(r"(?i)(C3k2|C3|C2f)[-_]?(.+)", module)
    residual = re.fullmatch(r"(?i)ResBlock[-_]?(.+)", module)
    if inside:
        narrow = _NARROW_BOTTLENECKS if inside[1].lower() != "c3k2" else ()
        return (
            *(_Change(options) for options in narrow),
            _Change(module=f"{inside[2]}{inside[1]}"),
            _Change({"place": "instead"}),
        )
    if after:
        other = f"{after[2]}{after[1]}"
        narrow = _NARROW_BOTTLENECKS if after[2].lower() != "c3k2" else ()
        return (
            _Change(module=other),
            *(_Change(options, module=other) for options in narrow),
            _Change({"place": "instead"}, module=other),
        )
    if residual:
        other = f"ResNetBottleneck_{residual[1]}"
        return _Change({"e": 1.0}, module=other), _Change({"e": 0.25}, module=other)
    return ()


_KERNEL = ("kernel_size",)

# The bottlenecks of C3k2 have their width from the row.
_NARROW_BOTTLENECKS: tuple[Options, ...] = ({"bottleneck": 0.5},)

# Copies differ in the convolution after the sum.
_SUMS = ("bifpnadd", "bifpnadd2", "bifpnadd3")

# The evidence for each is in docs/model-files.md.
_CHANGES: Mapping[str, tuple[_Change, ...]] = {
    "cbam": (
        _Change({"variant": "biased"}),
        _Change(module="Bottleneck_{}", kept=("reduction", "kernel_size", "variant")),
        _Change(module="UltralyticsCBAM", kept=_KERNEL),
        _Change({"variant": "authors"}),
        _Change({"variant": "timm"}, is_common=False),
        _Change({"variant": "biased"}, module="Bottleneck_{}", is_common=False),
        # The number 3 of [C, 3] may be the switch of the shortcut.
        _Change(module="Bottleneck_{}", kept=("reduction", "variant"), is_common=False),
        _Change({"variant": "biased"}, "Bottleneck_{}", ("reduction",), is_common=False),
    ),
    "coordinate": (_Change({"bias": False}),),
    "eca": (_Change({"kernel_size": 3}),),
    "ema": (_Change({"groups": 8}), _Change({"groups": 16}, is_common=False), _Change({"groups": 32}, is_common=False)),
    "gam": (_Change(lambda options: {"groups": int(options.get("reduction", 4))}),),
    "se": (_Change({"bias": True}, is_common=False),),
    "shuffle": (_Change({"groups": 8}),),
    "sk": (
        _Change({"kernel_sizes": (1, 3, 5, 7), "groups": 1, "variant": "biased"}),
        _Change({"kernel_sizes": (1, 3, 5, 7), "groups": 1}, is_common=False),
    ),
}


def flow_text(value: Plain | tuple[Plain, ...]) -> str:
    """Return a value as YAML on one line.

    Example:
        >>> flow_text([1024, {"kernel_size": 3, "bias": False}])
        '[1024, {kernel_size: 3, bias: false}]'
    """
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow_text(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow_text, value)) + "]"
        case bool():
            return str(value).lower()
        case None:
            return "None"
        case _:
            return str(value)
