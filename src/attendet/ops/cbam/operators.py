"""The fused CBAM as operators of torch: autograd, `torch.compile` and autocast see them as any other.

`attendet::cbam` gives the features, and the small tensors that `attendet::cbam_backward` starts from. The second has no
derivative of its own, and says so. Tensors an operator has no use for are empty, since it cannot return None.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import Tensor

from attendet.errors import OptionError
from attendet.ops.cbam.reference import BatchStatistics, ChannelNet, SpatialNet
from attendet.ops.cbam.saved_tensors import Kept
from attendet.ops.cbam.shape_checks import require_fit

CHANNEL_NET = "Tensor? fc1_weight, Tensor? fc1_bias, Tensor? fc2_weight, Tensor? fc2_bias, Tensor? channel_range"
SPATIAL_NET = (
    "Tensor? conv_weight, Tensor? norm_weight, Tensor? norm_bias, Tensor? running_mean, Tensor? running_var, "
    "Tensor? spatial_range, bool average_first, bool batch_statistics, float eps"
)
KEPT = "Tensor pooled, Tensor channel_logits, Tensor planes, Tensor spatial_logits, Tensor mean, Tensor var"
CHANNEL_FIELDS, SPATIAL_FIELDS, KEPT_FIELDS = 5, 9, 6
NET_FIELDS = CHANNEL_FIELDS + SPATIAL_FIELDS
# Where the gradients of ParameterGradients belong among the fields of both nets.
PARAMETERS = (0, 1, 2, 3, 5, 6, 7)
NO_CHANNEL: tuple[Any, ...] = (None,) * CHANNEL_FIELDS
NO_SPATIAL: tuple[Any, ...] = (*(None,) * 6, False, False, 0.0)


def fused_cbam(
    x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None
) -> tuple[Tensor, BatchStatistics | None]:
    """Compute what `reference.cbam` computes, fused.

    Args:
        x: Features (N, C, H, W) in float32, bfloat16 or float16; parameters may be of another of these.
        channel: The channel gate; None for none.
        spatial: The spatial gate; None for none.

    Returns:
        Features of the same shape, dtype and layout, and the statistics of the batch where the norm has taken them.
    """
    channel_fields = NO_CHANNEL if channel is None else tuple(vars(channel).values())
    if spatial is not None and spatial.batch_statistics:
        # They will have moved on before the backward pass, which has no use for them.
        spatial = replace(spatial, running_mean=None, running_var=None)
    spatial_fields = NO_SPATIAL if spatial is None else tuple(vars(spatial).values())
    y, *_, mean, var = torch.ops.attendet.cbam(x, *channel_fields, *spatial_fields)
    if spatial is None or not spatial.batch_statistics:
        return y, None
    return y, BatchStatistics(mean, var, x.shape[0] * x.shape[2] * x.shape[3])


def layout_of(x: Tensor) -> torch.memory_format:
    """Return the layout that the operators compute in and answer in: that of x where it is one of the two."""
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def nets(arguments: tuple[Any, ...]) -> tuple[ChannelNet | None, SpatialNet | None]:
    """Return the nets of an operator's arguments, in contiguous float32."""
    in_float32: list[Any] = [value.float().contiguous() if isinstance(value, Tensor) else value for value in arguments]
    channel, spatial = in_float32[:CHANNEL_FIELDS], in_float32[CHANNEL_FIELDS:]
    return (
        None if channel[0] is None else ChannelNet(*channel),
        None if spatial[0] is None else SpatialNet(*spatial),
    )


def implementation(module: str) -> ModuleType:
    """Return a module with `forward` and `backward`: `cpu`, or `gpu`, whose Triton comes with builds for CUDA only."""
    return import_module(f"attendet.ops.cbam.{module}")


def run_forward(module: str, x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Run `attendet::cbam` by the functions of a module."""
    both = nets(arguments)
    require_fit(x, *both)
    with torch.autocast(x.device.type, enabled=False):
        y, kept = implementation(module).forward(x.contiguous(memory_format=layout_of(x)), *both)
    return y, *vars(kept).values()


def run_backward(module: str, x: Tensor, upstream: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Run `attendet::cbam_backward` likewise."""
    layout, both = layout_of(x), nets(arguments[:NET_FIELDS])
    require_fit(x, *both)
    x, upstream = x.contiguous(memory_format=layout), upstream.contiguous(memory_format=layout)
    kept = Kept(*arguments[NET_FIELDS:])
    with torch.autocast(x.device.type, enabled=False):
        gradient, others = implementation(module).backward(x, upstream, *both, kept)
    wanted = [arguments[place] for place in PARAMETERS]
    return gradient, *(
        x.new_empty(0, dtype=torch.float32) if parameter is None else value.to(parameter.dtype)
        for value, parameter in zip(vars(others).values(), wanted, strict=True)
    )


def fake_forward(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Return tensors like those of `attendet::cbam`."""
    kept = Kept.for_features(x, *nets(arguments))
    return torch.empty_like(x, memory_format=layout_of(x)), *vars(kept).values()


def fake_backward(x: Tensor, upstream: Tensor, *arguments: Any) -> tuple[Tensor, ...]:  # noqa: ARG001
    """Return tensors like those of `attendet::cbam_backward`."""
    parameters = [arguments[place] for place in PARAMETERS]
    return torch.empty_like(x, memory_format=layout_of(x)), *(
        x.new_empty(0, dtype=torch.float32)
        if parameter is None
        else torch.empty_like(parameter, memory_format=torch.contiguous_format)
        for parameter in parameters
    )


def keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Save the features, the parameters and the small tensors; none of the latter has a gradient."""
    _, *kept = output
    ctx.mark_non_differentiable(*kept)
    ctx.set_materialize_grads(False)
    tensors = [value if isinstance(value, Tensor) else None for value in inputs]
    ctx.options = [None if isinstance(value, Tensor) else value for value in inputs]
    ctx.save_for_backward(*tensors, *kept)


def differentiate(ctx: Any, upstream: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return the gradients of the inputs of `attendet::cbam`."""
    gradients: list[Tensor | None] = [None] * (1 + NET_FIELDS)
    if upstream is not None:
        tensors = ctx.saved_tensors  # asked for once only: what is checkpointed is computed anew each time
        saved, kept = tensors[: 1 + NET_FIELDS], tensors[1 + NET_FIELDS :]
        x, *arguments = (
            option if tensor is None else tensor for tensor, option in zip(saved, ctx.options, strict=True)
        )
        gradients[0], *of_parameters = torch.ops.attendet.cbam_backward(x, upstream, *arguments, *kept)
        for place, gradient in zip(PARAMETERS, of_parameters, strict=True):
            gradients[1 + place] = None if arguments[place] is None else gradient
    return tuple(gradients)


def refuse(*_: object) -> NoReturn:
    """Say that there is no second derivative."""
    raise OptionError("the fused CBAM has no second derivative", remedy="give CBAM implementation='reference'")


DEFINITIONS = torch.library.Library("attendet", "FRAGMENT")
DEFINITIONS.define(
    f"cbam(Tensor x, {CHANNEL_NET}, {SPATIAL_NET}) -> (Tensor, {', '.join(['Tensor'] * KEPT_FIELDS)})",
)
DEFINITIONS.define(
    f"cbam_backward(Tensor x, Tensor upstream, {CHANNEL_NET}, {SPATIAL_NET}, {KEPT}) -> "
    f"(Tensor, {', '.join(['Tensor'] * len(PARAMETERS))})",
)
for KEY, MODULE in (("CPU", "cpu"), ("CUDA", "gpu")):
    DEFINITIONS.impl("cbam", partial(run_forward, MODULE), KEY)
    DEFINITIONS.impl("cbam_backward", partial(run_backward, MODULE), KEY)
torch.library.register_fake("attendet::cbam", fake_forward, lib=DEFINITIONS)
torch.library.register_fake("attendet::cbam_backward", fake_backward, lib=DEFINITIONS)
torch.library.register_autograd("attendet::cbam", differentiate, setup_context=keep, lib=DEFINITIONS)
torch.library.register_autograd("attendet::cbam_backward", refuse, lib=DEFINITIONS)
