"""One row, made and run on torch's `meta` device, where tensors have shapes and nothing else.

So channels and strides are measured, not assumed, and a row that asks for the absurd costs nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from attendet.attention import create
from attendet.attention.base import Start
from attendet.attention.catalog import attentions, options_of
from attendet.blocks.catalog import blocks
from attendet.blocks.wiring import BlockRequest, Maker, ModuleSpec, RuleKind, chain, only_source
from attendet.errors import AttendetError, AttendetWarning, OptionError, unknown_name
from attendet.models.findings import Finding
from attendet.models.yaml.activations import replace_activations
from attendet.models.yaml.checkpoint_evidence import cbam_options
from attendet.models.yaml.dialects import Dialect, Reading, read_attention_args
from attendet.models.yaml.model_file import Anchors, LayerRow, ModelFile
from attendet.utils.text import shorten

MAX_OUTPUT = 2**28
MAX_MODULES = 4_000

# What torch and the blocks raise when a row's arguments make no sense to them.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Settings:
    """What all rows of a plan have in common.

    Attributes:
        file: The model file.
        num_classes: Number of classes.
        imgsz: Side of the probing image in pixels.
        dialect: How attention rows are read; None is `auto`.
        start: How attention starts.
        checkpoint: A state dict of this model file, whose shapes decide over what the arguments of CBAM rows say.
        activation: Makes what replaces SiLU, if anything does.
    """

    file: ModelFile
    num_classes: int
    imgsz: int
    dialect: Dialect | None
    start: Start
    checkpoint: Mapping[str, Tensor]
    activation: Callable[[], nn.Module] | None


@dataclass(frozen=True)
class Trial:
    """What came of trying a row.

    Attributes:
        kind: The wiring rule of its block.
        recipe: How to make its module.
        reading: How its arguments were understood, for attention.
        parameters: Learned values.
        modules: Modules within modules, its own included.
        outputs: The map it gives, or those of all levels of the head; on the meta device.
        findings: What there is to say about it.
    """

    kind: RuleKind
    recipe: ModuleSpec
    reading: Reading | None
    parameters: int
    modules: int
    outputs: tuple[Tensor, ...]
    findings: tuple[Finding, ...]


class RowError(Exception):
    """A row that cannot be built.

    Attributes:
        finding: Why.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


def try_row(row: LayerRow, sources: Sequence[Tensor], settings: Settings) -> Trial:
    """Make a row's module and run it.

    Args:
        row: The row.
        sources: The maps it reads, on the meta device.
        settings: What all rows have in common.

    Raises:
        RowError: If it cannot be built, or does not run on its sources.
    """
    request = _request(row, sources, settings)
    try:
        kind, recipe, reading = _recipe(row, request, settings)
        with torch.device("meta"), torch.no_grad(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module = recipe.make().eval()
            parameters = sum(parameter.numel() for parameter in module.parameters())
            modules = sum(1 for _ in module.modules())
            if modules > MAX_MODULES:
                raise OptionError(f"it has {modules:,} modules", remedy="give it fewer repeats")
            if kind == "concat":
                _refuse_unequal(row, request, sources)
            outputs = _as_tuple(module(list(sources) if recipe.joins else sources[0]))
    except AttendetError as error:
        raise _refusal(row, f"{row.module}: {error.message}", error.remedy) from error
    except REFUSALS as error:
        message = shorten((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise _refusal(row, f"{row.module} {shorten(str(list(row.args)), 60)} cannot be built: {message}") from error
    if any(output.numel() > MAX_OUTPUT or 0 in output.shape for output in outputs):
        raise _refusal(row, f"{row.module} {shorten(str(list(row.args)), 60)} gives a map of {tuple(outputs[0].shape)}")
    # A block says the same of each of its bottlenecks; once is enough.
    doubts = dict.fromkeys(str(warning.message) for warning in caught if warning.category is AttendetWarning)
    found = (*_remarks(row, request, reading, settings), *(_bottleneck(row, doubt) for doubt in doubts))
    return Trial(kind, recipe, reading, parameters, modules, outputs, found)


def _request(row: LayerRow, sources: Sequence[Tensor], settings: Settings) -> BlockRequest:
    strides = tuple(settings.imgsz / source.shape[2] for source in sources)
    return BlockRequest(
        channels=tuple(source.shape[1] for source in sources),
        strides=strides,
        repeats=settings.file.repeats(row),
        args=row.args,
        width_multiple=settings.file.width_multiple,
        num_classes=settings.num_classes,
        anchors=_anchors(settings.file.anchors, strides),
        start=settings.start,
    )


def _anchors(anchors: Anchors | int, strides: Sequence[float]) -> Anchors:
    """Return the file's anchors; where it only says how many, squares to start the search for them from."""
    if isinstance(anchors, tuple):
        return anchors
    return tuple(tuple((stride * 2**step,) * 2 for step in range(1, anchors + 1)) for stride in strides)


def _recipe(row: LayerRow, request: BlockRequest, settings: Settings) -> tuple[RuleKind, ModuleSpec, Reading | None]:
    if row.module in blocks:
        block = blocks.get(row.module)
        if block.rule.kind == "detect":
            _refuse_own_settings(row, settings.file)
        recipe, kind, reading = block.rule.recipe(block.make, request), block.rule.kind, None
    elif row.module in attentions:
        recipe, reading = _gate(row, request, settings)
        kind: RuleKind = "gate"
    else:
        raise unknown_name("block or attention", row.module, (*blocks.names(), *attentions.names()))
    if settings.activation:
        recipe = replace(recipe, make=partial(_with_activation, recipe.make, settings.activation))
    return kind, recipe, reading


def _refuse_own_settings(row: LayerRow, file: ModelFile) -> None:
    """Refuse a head that states other classes or anchors than the file: one of the two would be ignored."""
    for argument, word, value in zip(row.args, ("nc", "anchors"), (file.num_classes, file.anchors), strict=False):
        if argument not in (word, value):
            raise OptionError(
                f"the row gives its own {word}, {argument}", remedy=f"write {word}, for what the file says"
            )


def _gate(row: LayerRow, request: BlockRequest, settings: Settings) -> tuple[ModuleSpec, Reading]:
    channels = only_source(request)
    reading = read_attention_args(row.args, settings.dialect, request.scale)
    options = dict(reading.options)
    if "start" in options_of(attentions.get(row.module)):
        options = {"start": settings.start, **options}
    if attentions.get(row.module) is attentions.get("cbam"):
        options |= cbam_options(settings.checkpoint, row.index, channels)
    make: Maker = partial(create, row.module, channels, **options)
    repeats = request.repeats if settings.dialect and settings.dialect.repeats else 1
    if repeats > 1:
        make = partial(chain, repeats, make)
    return ModuleSpec(make, (channels,), options=options), replace(reading, options=options)


def _with_activation(make: Maker, activation: Callable[[], nn.Module]) -> nn.Module:
    return replace_activations(make(), activation)


def _refuse_unequal(row: LayerRow, request: BlockRequest, sources: Sequence[Tensor]) -> None:
    if len({source.shape[2:] for source in sources}) > 1:
        parts = [
            f"row {source.row} of stride {stride:g}"
            for source, stride in zip(row.sources, request.strides, strict=True)
        ]
        what = f"it joins maps of unequal size: {', '.join(parts)}"
        remedy = "read rows of one stride"
        raise RowError(Finding("unequal-concat", what, remedy, row.location, row.index))


def _remarks(row: LayerRow, request: BlockRequest, reading: Reading | None, settings: Settings) -> list[Finding]:
    if reading is None:
        return []
    found = [_bottleneck(row, doubt) for doubt in reading.doubts]
    channels = request.channels[0]
    if reading.width not in (None, channels):
        scaled = settings.dialect is None or settings.dialect.scaled
        note = ", scaled," if scaled else ""
        what = f"{row.module} declares {reading.width} channels{note} and {channels} come in, which is what it gets"
        right = round(channels / settings.file.width_multiple) if scaled else channels
        remedy = f"declare {right}"
        if scaled and row.args[0] == channels:
            remedy += ", or name the dialect unscaled"
        found.append(Finding("width", what, remedy, row.location, row.index))
    if row.number > 1:
        repeated = settings.dialect is not None and settings.dialect.repeats
        count = f"{request.repeats} modules in a row" if repeated else "one module"
        what = f"forks differ about {row.number} repeats of {row.module}; here it is {count}"
        found.append(Finding("repeats", what, "write 1, or name the dialect", row.location, row.index))
    return found


def _bottleneck(row: LayerRow, doubt: str) -> Finding:
    what, _, remedy = doubt.partition("; ")
    return Finding("bottleneck", f"{row.module}: {what}", remedy or "write a ratio of 16 or 8", row.location, row.index)


def _refusal(row: LayerRow, what: str, remedy: str | None = None) -> RowError:
    return RowError(Finding("unbuildable", what, remedy or "correct the row", row.location, row.index))


def _as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (output,) if isinstance(output, Tensor) else tuple(output)
