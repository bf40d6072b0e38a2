"""Names of blocks with attention: `C3CBAM`, `CBAMC3`, `C2f_SE`, `Conv_ECA`, `ResBlock_CBAM`, for any attention module.

A name combines the name of a block and the name of an attention module. `C3CBAM` has the attention in every bottleneck,
`CBAMC3` has it once after the block. The last argument of a row may be a mapping with options of both by name:
`[512, True, {bottleneck: 0.5, reduction: 8}]`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from inspect import signature

from attendet.attention import create
from attendet.attention.catalog import attentions, options_of, require_options
from attendet.blocks.catalog import RegisteredBlock, blocks
from attendet.blocks.wiring import (
    JOINING,
    BlockRequest,
    ModuleFactory,
    ModuleSpec,
    WiringRule,
    split_options,
    widen,
    widen_and_repeat,
)
from attendet.errors import OptionError
from attendet.models.composites.attention_blocks import (
    AttentionBottleneck,
    AttentionC3,
    AttentionResNetBottleneck,
    C3Attention,
    ConvAttention,
)
from attendet.models.composites.split_attention_blocks import (
    AttentionC2f,
    AttentionC3k2,
    C2fAttention,
    C3k2Attention,
)
from attendet.registry import normalize_name

_STRUCTURE_OPTIONS = ("bottleneck", "place", "e")


@dataclass(frozen=True)
class Composite:
    """A block with attention, as its name states.

    Attributes:
        make: Class of the block.
        rule: Rule that turns a row of a model file into the block.
        description: Description of the structure, with `{}` in place of the name of the attention module.
        attention: Registry name of the attention module.
    """

    make: ModuleFactory
    rule: WiringRule
    description: str
    attention: str

    def registered(self) -> RegisteredBlock:
        """Return the block as the registry has it, with a rule for options by name."""
        return RegisteredBlock(self.make, replace(self.rule, specify=partial(_specify, self)))


def find_block(name: str) -> RegisteredBlock | None:
    """Return the block of a name: a registered one, or one that combines a block and attention; None if unknown.

    Example:
        >>> find_block("C3_ECA").make.__name__, find_block("C3_FOO")
        ('AttentionC3', None)
    """
    if name in blocks:
        return blocks.get(name)
    composite = find_composite(name)
    return composite.registered() if composite else None


def joins_maps(name: str) -> bool:
    """Return whether a block joins feature maps of equal size, such as Concat; False if the name is unknown.

    Example:
        >>> joins_maps("Concat"), joins_maps("Conv"), joins_maps("Unheard")
        (True, False, False)
    """
    block = find_block(name)
    return block is not None and block.rule.kind in JOINING


def find_composite(name: str) -> Composite | None:
    """Return the block with attention that has this name; None if the name does not combine a block and attention.

    Example:
        >>> find_composite("CBAMC3").description.format("cbam")
        'C3 followed by cbam'
    """
    key = normalize_name(name)
    for block, (make, rule, description) in _ATTENTION_LAST.items():
        if key.startswith(block) and key[len(block) :] in attentions:
            return Composite(make, rule, description, attentions.canonical(key[len(block) :]))
    for block, (make, rule, description) in _ATTENTION_FIRST.items():
        if key.endswith(block) and key[: -len(block)] in attentions:
            return Composite(make, rule, description, attentions.canonical(key[: -len(block)]))
    return None


# Longer names come first, because `conv` and `bottleneck` also end other names.
_ATTENTION_LAST = {
    "c3k2": (AttentionC3k2, widen_and_repeat, "C3k2 with {} in every bottleneck"),
    "c3": (AttentionC3, widen_and_repeat, "C3 with {} in every bottleneck"),
    "c2f": (AttentionC2f, widen_and_repeat, "C2f with {} in every bottleneck"),
    "resnetbottleneck": (AttentionResNetBottleneck, widen, "bottleneck of ResNet-50 with {} before the addition"),
    "bottleneck": (AttentionBottleneck, widen, "Bottleneck with {} before the addition"),
    "resblock": (AttentionBottleneck, widen, "Bottleneck with {} before the addition"),
    "conv": (ConvAttention, widen, "Conv followed by {}"),
}
_ATTENTION_FIRST = {
    "c3k2": (C3k2Attention, widen_and_repeat, "C3k2 followed by {}"),
    "c3": (C3Attention, widen_and_repeat, "C3 followed by {}"),
    "c2f": (C2fAttention, widen_and_repeat, "C2f followed by {}"),
    "resnetbottleneck": _ATTENTION_LAST["resnetbottleneck"],
    "bottleneck": _ATTENTION_LAST["bottleneck"],
    "resblock": _ATTENTION_LAST["resblock"],
}


def _specify(composite: Composite, make: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify the block of a row, whose last argument may be a mapping with options by name."""
    args, named = split_options(request.args)
    parameters = signature(make).parameters
    structure = {name: parameters[name].default for name in _STRUCTURE_OPTIONS[:2] if name in parameters}
    structure |= {name: named.pop(name) for name in tuple(named) if name in _STRUCTURE_OPTIONS and name in parameters}
    require_options(composite.attention, named)
    flag = next((name for name in ("c3k", "shortcut") if name in parameters), None)
    if flag and any(not isinstance(value, bool) for value in args[1:2]):
        remedy = f"write options of {composite.attention} by name: {{reduction: 8}}"
        if flag == "c3k" and isinstance(args[1], float):
            remedy = f"write the fraction after it: [{args[0]}, False, {args[1]}]"
        raise OptionError(f"`{flag}` must be a boolean, got {args[1]}", remedy=remedy)
    started = {"start": request.start} if "start" in options_of(attentions.get(composite.attention)) else {}
    options = started | named
    attention = partial(create, composite.attention, **options)
    block = partial(make, **structure, attention=attention)
    return replace(composite.rule.specify(block, replace(request, args=args)), options=structure | options)
