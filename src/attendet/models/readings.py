"""Descriptions of how attention rows are read, and the alternatives that forks build."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from attendet.attention.base import Attention
from attendet.attention.catalog import attentions
from attendet.models.composites.block_names import find_composite
from attendet.models.planning import ModelPlan
from attendet.models.yaml.row_planning import PlannedRow, RowError, plan_row
from attendet.models.yaml.row_variations import Variation, variations
from attendet.utils.shape_propagation import ShapePropagation


@dataclass(frozen=True)
class Alternative:
    """What some forks build for a row.

    Attributes:
        label: How it is written: options such as `{kernel_size: 3}`, or another module such as `CBAMC3`.
        parameters: Number of learned values.
    """

    label: str
    parameters: int


@dataclass(frozen=True)
class AttentionReading:
    """How an attention row is read.

    Attributes:
        row: Index of the row.
        module: Name of the module in the file.
        description: Channels, options, and layers of the attention module.
        parameters: Number of learned values of the row.
        alternatives: What some forks build for the row; empty if none is known to build anything else.
    """

    row: int
    module: str
    description: str
    parameters: int
    alternatives: tuple[Alternative, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the reading as plain values, ready for JSON."""
        return asdict(self)

    @property
    def details(self) -> str:
        """The description, the number of parameters, and the alternatives."""
        text = f"{self.description}; {self.parameters:,} parameters"
        others = ", ".join(f"{other.label} {other.parameters:,}" for other in self.alternatives)
        return f"{text}; forks differ: {others}" if others else text

    def __str__(self) -> str:
        return f"row {self.row} {self.module}: {self.details}"


def attention_readings(plan: ModelPlan) -> list[AttentionReading]:
    """Return how each row with attention is read, and the alternatives that forks are known to build.

    Example:
        >>> from attendet.models.planning import plan_model
        >>> reading = attention_readings(plan_model("yolov5s_CBAM"))[0]
        >>> reading.description  # doctest: +ELLIPSIS
        '512 channels (declared: 512); reduction 16, kernel_size 7, ...; layers 512→32→512, 2→1 7x7, no biases'
        >>> reading.parameters, reading.alternatives[0]
        (32866, Alternative(label='{variant: biased}', parameters=33411))
    """
    described = ((planned, describe_attention(planned)) for planned in plan.rows)
    return [
        AttentionReading(
            planned.row.index,
            planned.row.module,
            description,
            planned.parameters,
            tuple(_alternatives(plan, planned)),
        )
        for planned, description in described
        if description
    ]


def describe_attention(planned: PlannedRow) -> str:
    """Return the channels, options, and layers of a row with attention, or an empty text for other rows."""
    if planned.spec is None or not (planned.kind == "gate" or planned.spec.options):
        return ""
    with torch.device("meta"), ShapePropagation():
        module = next((part for part in planned.create_module().modules() if isinstance(part, Attention)), None)
    composite = None if planned.kind == "gate" else find_composite(planned.row.module)
    attention = attentions.get(composite.attention if composite else planned.row.module)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(attention).parameters.items()
        # `dims` is always 2: the rows of model files process images.
        if parameter.default not in (None, inspect.Parameter.empty) and name != "dims"
    }
    # Without a value, the module chooses one, which depends on its width.
    chosen = {
        name: getattr(module, name)
        for name in inspect.signature(attention).parameters
        if name not in defaults and isinstance(getattr(module, name, None), int)
    }
    options = _list_options(
        dict(planned.spec.options) if composite else {}, defaults | chosen | dict(planned.spec.options)
    )
    layers = _describe_layers(module) if module is not None else ""
    if composite:
        subject = composite.description.format(composite.attention)
    else:
        width = planned.reading.width if planned.reading else None
        declared = "" if width is None else f" (declared: {width})"
        subject = f"{planned.spec.arguments[0]} channels{declared}"
    return "; ".join(part for part in (subject, options, layers) if part)


def _alternatives(plan: ModelPlan, planned: PlannedRow) -> Iterator[Alternative]:
    """Yield the common variations of a row that have another number of parameters."""
    counts = {planned.parameters}
    for variation, built in buildable_variations(plan, planned, only_common=True):
        if built.parameters not in counts:
            counts.add(built.parameters)
            yield Alternative(variation.label, built.parameters)


def buildable_variations(
    plan: ModelPlan, planned: PlannedRow, *, only_common: bool = False
) -> Iterator[tuple[Variation, PlannedRow]]:
    """Yield the variations of a row that can be built, as variations and as planned rows."""
    # Variations name all options, so neither the dialect nor the checkpoint decides about them.
    options = replace(plan.options, dialect=None, checkpoint={})
    sources = plan.sources(planned.row.index)
    for variation in variations(planned.row, plan.scale, _declared_width(plan, sources[0].shape[1])):
        if only_common and not variation.is_common:
            continue
        try:
            yield variation, plan_row(variation.row, sources, options)
        except RowError:
            continue


def _declared_width(plan: ModelPlan, channels: int) -> int:
    """Return the width that a row declares for a number of channels, before scaling."""
    return round(channels / plan.file.width_multiple)


def _list_options(first: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the options as text, in the order of the first ones."""
    return ", ".join(f"{name} {value}" for name, value in ({**first, **options}).items())


def _describe_layers(attention: nn.Module) -> str:
    """Return the widths, kernel sizes, groups, and biases of the layers: `layers 512→32→512, 2→1 7x7, no biases`."""
    layers = [layer for layer in attention.modules() if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)]
    if not layers:
        return ""
    chains: list[str] = []
    width = None
    for layer in layers:
        inputs, outputs, detail = _layer_shape(layer)
        if inputs == width and not detail:
            chains[-1] += f"→{outputs}"
        else:
            chains.append(f"{inputs}→{outputs}{detail}")
        width = None if detail else outputs
    biased = sum(layer.bias is not None for layer in layers)
    biases = "no biases" if not biased else "biases" if biased == len(layers) else f"{biased} biases"
    return f"layers {', '.join(chains)}, {biases}"


def _layer_shape(layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> tuple[int, int, str]:
    """Return the input width, the output width, and the kernel size and groups of a layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features, ""
    sizes = list(layer.kernel_size)
    kernel = "x".join(map(str, sizes)) if len(sizes) > 1 else f"kernel {sizes[0]}"
    groups = f" {layer.groups} groups" if layer.groups > 1 else ""
    taps = "" if set(layer.kernel_size) == {1} else f" {kernel}"
    return layer.in_channels, layer.out_channels, f"{taps}{groups}"
