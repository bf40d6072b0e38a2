"""Plan one row: create its module on torch's `meta` device, run it, and measure it.

Tensors on the meta device have shapes and no values. So channels and strides are measured, not assumed, and a row with
absurd arguments costs neither memory nor time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention import create
from attendet.attention.base import Start
from attendet.attention.catalog import attentions, options_of
from attendet.blocks.wiring import (
    JOINING,
    BlockRequest,
    ModuleFactory,
    ModuleSpec,
    RuleKind,
    chain,
    only_input,
    split_options,
)
from attendet.errors import AttendetError, AttendetWarning, OptionError
from attendet.models.composites.block_names import find_block
from attendet.models.findings import Finding
from attendet.models.yaml.activations import replace_activations
from attendet.models.yaml.checkpoint_evidence import infer_cbam_options
from attendet.models.yaml.detect_rows import head_row
from attendet.models.yaml.dialects import REPEATED, Dialect, Reading, read_attention_args
from attendet.models.yaml.model_file import Anchors, LayerRow, ModelFile
from attendet.models.yaml.reading_findings import argument_findings, bottleneck_finding
from attendet.models.yaml.unknown_blocks import unknown_block
from attendet.utils.shape_propagation import ShapePropagation
from attendet.utils.text import shorten

ShapePart = Literal["channels", "size"]

MAX_MODULES = 4_000
_MAX_OUTPUT = 2**28

# What torch and the blocks raise for invalid arguments.
_BUILD_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class PlanOptions:
    """The settings that all rows of a plan share.

    Attributes:
        file: The model file.
        num_classes: Number of classes.
        imgsz: Side of the image on which shapes are measured, in pixels.
        dialect: Dialect of attention rows; None for `auto`.
        start: Start of attention modules whose rows do not name one.
        checkpoint: A state dict of the model file. The shapes of its tensors decide over the arguments of CBAM rows.
        activation: Creates the activation that replaces SiLU; None to keep SiLU.
    """

    file: ModelFile
    num_classes: int
    imgsz: int
    dialect: Dialect | None
    start: Start
    checkpoint: Mapping[str, Tensor]
    activation: Callable[[], nn.Module] | None


@dataclass(frozen=True)
class PlannedRow:
    """A row of a model file and the module that it describes.

    Attributes:
        row: The row.
        outputs: Its feature map, or the maps of all levels of the head; on the meta device.
        kind: Wiring rule of its block; None if the row cannot be built.
        spec: How to create its module; None if the row cannot be built.
        reading: How its arguments are read, for attention modules.
        parameters: Number of learned values.
        modules: Number of modules, including nested ones and the row's own.
        findings: Faults and remarks about the row.
        unknown: The parts of the shape of its feature map that are assumed, because it or a row before it cannot be
            built.
    """

    row: LayerRow
    outputs: tuple[Tensor, ...] = field(repr=False, compare=False)
    kind: RuleKind | None = None
    spec: ModuleSpec | None = None
    reading: Reading | None = None
    parameters: int = 0
    modules: int = 0
    findings: tuple[Finding, ...] = ()
    unknown: frozenset[ShapePart] = frozenset()

    def create_module(self) -> nn.Module:
        """Return a new module on torch's current default device; its warnings are among the findings."""
        if self.spec is None:
            raise OptionError(f"row {self.row.index} cannot be built")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AttendetWarning)
            return self.spec.make()

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape (1, channels, height, width) of the feature map.

        For the head, the shape of the raw map of each level.
        """
        return tuple(tuple(output.shape) for output in self.outputs)


class RowError(Exception):
    """A row that cannot be built.

    Attributes:
        finding: The reason.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def plan_row(row: LayerRow, sources: Sequence[Tensor], options: PlanOptions) -> PlannedRow:
    """Create the module of a row, run it, and describe it.

    Args:
        row: The row.
        sources: The feature maps (1, channels, height, width) that it reads, on the meta device.
        options: The settings that all rows share.

    Raises:
        RowError: If the module cannot be created, or does not run on these feature maps.
    """
    request = _request(row, sources, options)
    try:
        kind, spec, reading = _module_spec(row, request, options)
        with (
            torch.device("meta"),
            ShapePropagation(),
            torch.no_grad(),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            module = spec.make().train(False)
            parameters = sum(parameter.numel() for parameter in module.parameters())
            modules = sum(1 for _ in module.modules())
            if modules > MAX_MODULES:
                message = f"a row must have at most {MAX_MODULES:,} modules, got {modules:,}"
                raise OptionError(message, remedy="use fewer repeats")
            if kind in JOINING:
                _require_equal_sizes(row, request, sources)
            output = module(list(sources) if spec.joins else sources[0])
    except AttendetError as error:
        # Many messages name the module.
        subject = "" if row.module in error.message else f"{row.module}: "
        raise _unbuildable(row, f"{subject}{error.message}", error.remedy) from error
    except _BUILD_ERRORS as error:
        message = shorten((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise _unbuildable(row, f"{_written(row)} cannot be built: {message}") from error
    outputs = (output,) if isinstance(output, Tensor) else tuple(output)
    if any(output.numel() > _MAX_OUTPUT or 0 in output.shape for output in outputs):
        raise _unbuildable(row, f"{_written(row)} gives a feature map of shape {tuple(outputs[0].shape)}")
    # Each bottleneck of a block warns about the same thing.
    doubts = dict.fromkeys(str(warning.message) for warning in caught if warning.category is AttendetWarning)
    findings = (
        *argument_findings(row, request, reading, options.dialect),
        *(bottleneck_finding(row, doubt, request.channels[0]) for doubt in doubts),
    )
    return PlannedRow(row, outputs, kind, spec, reading, parameters, modules, findings)


def _request(row: LayerRow, sources: Sequence[Tensor], options: PlanOptions) -> BlockRequest:
    strides = tuple(options.imgsz / source.shape[2] for source in sources)
    return BlockRequest(
        channels=tuple(source.shape[1] for source in sources),
        strides=strides,
        repeats=options.file.repeats(row),
        args=row.args,
        width_multiple=options.file.width_multiple,
        max_width=options.file.max_width,
        num_classes=options.num_classes,
        anchors=_anchors(options.file.anchors, strides),
        start=options.start,
    )


def _anchors(anchors: Anchors | int, strides: Sequence[float]) -> Anchors:
    """Return the anchors of the file, or squares if the file has only the number of anchors."""
    if isinstance(anchors, tuple):
        return anchors
    return tuple(tuple((stride * 2**step,) * 2 for step in range(1, anchors + 1)) for stride in strides)


def _module_spec(
    row: LayerRow, request: BlockRequest, options: PlanOptions
) -> tuple[RuleKind, ModuleSpec, Reading | None]:
    head = head_row(row, options.file)
    block = find_block(head.module)
    if block is not None:
        if block.rule.kind == "detect":
            _require_values_of_file(row, options.file)
            request = replace(request, args=head.args)
        spec, kind, reading = block.rule.specify(block.make, request), block.rule.kind, None
    elif row.module in attentions:
        spec, reading = _attention_spec(row, request, options)
        kind: RuleKind = "gate"
    else:
        raise unknown_block(row.module)
    if options.activation:
        spec = replace(spec, make=partial(_with_activation, spec.make, options.activation))
    return kind, spec, reading


def _require_values_of_file(row: LayerRow, file: ModelFile) -> None:
    """Refuse a head with other classes or anchors than the file has: one of the two would be ignored."""
    arguments = split_options(row.args)[0]
    if len(arguments) > 1 and not file.anchors:
        raise OptionError(
            f"{row.module} must have the argument [nc] in a file without anchors, got {list(row.args)}",
            remedy="write [nc]",
        )
    for argument, word, value in zip(arguments, ("nc", "anchors"), (file.num_classes, file.anchors), strict=False):
        if argument not in (word, value):
            raise OptionError(f"`{word}` of the row must be that of the file, got {argument}", remedy=f"write {word}")


def _attention_spec(row: LayerRow, request: BlockRequest, options: PlanOptions) -> tuple[ModuleSpec, Reading]:
    channels = only_input(request)
    reading = read_attention_args(row.args, options.dialect, request.scale, attentions.canonical(row.module))
    arguments = dict(reading.options)
    is_repeated = bool(arguments.pop(REPEATED, options.dialect is not None and options.dialect.repeats))
    if "start" in options_of(attentions.get(row.module)):
        arguments = {"start": options.start, **arguments}
    if attentions.get(row.module) is attentions.get("cbam"):
        arguments |= infer_cbam_options(options.checkpoint, row.index, channels)
    make: ModuleFactory = partial(create, row.module, channels, **arguments)
    if is_repeated and request.repeats > 1:
        make = partial(chain, request.repeats, make)
    return ModuleSpec(make, (channels,), options=arguments), replace(reading, options=arguments)


def _with_activation(make: ModuleFactory, activation: Callable[[], nn.Module]) -> nn.Module:
    return replace_activations(make(), activation)


def _require_equal_sizes(row: LayerRow, request: BlockRequest, sources: Sequence[Tensor]) -> None:
    if len({source.shape[2:] for source in sources}) > 1:
        strides = ", ".join(
            f"row {source.row} with stride {stride:g}"
            for source, stride in zip(row.sources, request.strides, strict=True)
        )
        message = f"{row.module} joins feature maps of different sizes: {strides}"
        raise RowError(Finding("unequal-concat", message, "read rows with the same stride", row.location, row.index))


def _unbuildable(row: LayerRow, message: str, remedy: str | None = None) -> RowError:
    return RowError(Finding("unbuildable", message, remedy or "correct the row", row.location, row.index))


def _written(row: LayerRow) -> str:
    return f"{row.module} {shorten(str(list(row.args)), 60)}"
