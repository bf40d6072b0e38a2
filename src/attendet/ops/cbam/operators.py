"""The fused CBAM as torch operators, which support autograd, `torch.compile`, and autocast.

`attendet::cbam` returns the features, and the small tensors that `attendet::cbam_backward` needs. Plain torch computes
the derivative of the latter, for gradient penalties and other second derivatives. Unused tensors are empty, because an
operator cannot return None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from attendet.errors import OptionError
from attendet.ops.cbam.reference import BatchStatistics, ChannelNet, SpatialNet, reference_cbam
from attendet.ops.cbam.saved_tensors import SavedTensors

_CHANNEL_SCHEMA = "Tensor? fc1_weight, Tensor? fc1_bias, Tensor? fc2_weight, Tensor? fc2_bias, Tensor? channel_range"
_SPATIAL_SCHEMA = (
    "Tensor? conv_weight, Tensor? norm_weight, Tensor? norm_bias, Tensor? running_mean, Tensor? running_var, "
    "Tensor? spatial_range, bool average_first, bool batch_statistics, float eps"
)
_SAVED_SCHEMA = "Tensor pooled, Tensor channel_logits, Tensor planes, Tensor spatial_logits, Tensor mean, Tensor var"
_CHANNEL_FIELDS, _SPATIAL_FIELDS, _SAVED_FIELDS = 5, 9, 6
_NET_FIELDS = _CHANNEL_FIELDS + _SPATIAL_FIELDS
# Indices of the fields of ParameterGradients among the fields of both nets.
_PARAMETERS = (0, 1, 2, 3, 5, 6, 7)
NO_CHANNEL: tuple[Any, ...] = (None,) * _CHANNEL_FIELDS
NO_SPATIAL: tuple[Any, ...] = (*(None,) * 6, False, False, 0.0)


def fused_cbam(
    x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None
) -> tuple[Tensor, BatchStatistics | None]:
    """Compute the same as `reference_cbam`, with the fused operators.

    Args:
        x: Features (N, C, H, W) in float32, bfloat16, or float16; parameters may have another of these dtypes.
        channel: Parameters of the channel gate; None for no channel gate.
        spatial: Parameters of the spatial gate; None for no spatial gate.

    Returns:
        Features of the same shape, dtype, and layout, and the batch statistics if the norm used them.

    Raises:
        OptionError: If the shapes of features and parameters do not fit, or the operators cannot be compiled.
    """
    channel_fields = NO_CHANNEL if channel is None else tuple(vars(channel).values())
    if spatial is not None and spatial.batch_statistics:
        # The running statistics change before the backward pass, which does not need them.
        spatial = replace(spatial, running_mean=None, running_var=None)
    spatial_fields = NO_SPATIAL if spatial is None else tuple(vars(spatial).values())
    y, *_, mean, var = torch.ops.attendet.cbam(x, *channel_fields, *spatial_fields)
    if spatial is None or not spatial.batch_statistics:
        return y, None
    return y, BatchStatistics(mean, var, x.shape[0] * x.shape[2] * x.shape[3])


def import_backend(name: str) -> ModuleType:
    """Return the module with `forward` and `backward`: `cpu`, or `gpu`, which needs Triton."""
    return import_module(f"attendet.ops.cbam.{name}")


def _layout(x: Tensor) -> torch.memory_format:
    """Return the memory layout for inputs and outputs: channels-last if x has this layout, otherwise contiguous."""
    is_channels_last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_channels_last else torch.contiguous_format


def _nets(arguments: tuple[Any, ...]) -> tuple[ChannelNet | None, SpatialNet | None]:
    """Return the parameters of both gates from the arguments of an operator, in contiguous float32."""
    in_float32: list[Any] = [value.float().contiguous() if isinstance(value, Tensor) else value for value in arguments]
    channel, spatial = in_float32[:_CHANNEL_FIELDS], in_float32[_CHANNEL_FIELDS:]
    return (
        None if channel[0] is None else ChannelNet(*channel),
        None if spatial[0] is None else SpatialNet(*spatial),
    )


def _run_forward(backend: str, x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Run `attendet::cbam` on a backend."""
    nets = _nets(arguments)
    check_shapes(x, *nets)
    with torch.autocast(x.device.type, enabled=False):
        y, saved = import_backend(backend).forward(x.contiguous(memory_format=_layout(x)), *nets)
    return y, *vars(saved).values()


def _run_backward(backend: str, x: Tensor, upstream: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Run `attendet::cbam_backward` on a backend."""
    layout, nets = _layout(x), _nets(arguments[:_NET_FIELDS])
    check_shapes(x, *nets)
    x, upstream = x.contiguous(memory_format=layout), upstream.contiguous(memory_format=layout)
    saved = SavedTensors(*arguments[_NET_FIELDS:])
    with torch.autocast(x.device.type, enabled=False):
        gradient, gradients = import_backend(backend).backward(x, upstream, *nets, saved)
    parameters = [arguments[index] for index in _PARAMETERS]
    return gradient, *(
        x.new_empty(0, dtype=torch.float32) if parameter is None else value.to(parameter.dtype)
        for value, parameter in zip(vars(gradients).values(), parameters, strict=True)
    )


def _fake_forward(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """Return tensors with the shapes, dtypes, and layouts of the outputs of `attendet::cbam`."""
    saved = SavedTensors.allocate(x, *_nets(arguments))
    return torch.empty_like(x, memory_format=_layout(x)), *vars(saved).values()


def _fake_backward(x: Tensor, upstream: Tensor, *arguments: Any) -> tuple[Tensor, ...]:  # noqa: ARG001
    """Return tensors with the shapes, dtypes, and layouts of the outputs of `attendet::cbam_backward`."""
    parameters = [arguments[index] for index in _PARAMETERS]
    return torch.empty_like(x, memory_format=_layout(x)), *(
        x.new_empty(0, dtype=torch.float32)
        if parameter is None
        else torch.empty_like(parameter, memory_format=torch.contiguous_format)
        for parameter in parameters
    )


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Save the features, the parameters, and the small tensors, which have no gradients."""
    _, *saved = output
    ctx.mark_non_differentiable(*saved)
    ctx.set_materialize_grads(False)
    tensors = [value if isinstance(value, Tensor) else None for value in inputs]
    ctx.options = [None if isinstance(value, Tensor) else value for value in inputs]
    ctx.save_for_backward(*tensors, *saved)


def _differentiate(ctx: Any, upstream: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return the gradients of the inputs of `attendet::cbam`."""
    gradients: list[Tensor | None] = [None] * (1 + _NET_FIELDS)
    if upstream is not None:
        tensors = ctx.saved_tensors  # accessed once: with checkpointing, every access computes the tensors again
        inputs, saved = tensors[: 1 + _NET_FIELDS], tensors[1 + _NET_FIELDS :]
        x, *arguments = (
            option if tensor is None else tensor for tensor, option in zip(inputs, ctx.options, strict=True)
        )
        gradients[0], *parameter_gradients = torch.ops.attendet.cbam_backward(x, upstream, *arguments, *saved)
        for index, gradient in zip(_PARAMETERS, parameter_gradients, strict=True):
            gradients[1 + index] = None if arguments[index] is None else gradient
    return tuple(gradients)


def _save_for_second_derivative(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ARG001
    """Save the features, the upstream gradient, and the parameters."""
    ctx.set_materialize_grads(False)
    inputs = inputs[: 2 + _NET_FIELDS]
    ctx.options = [None if isinstance(value, Tensor) else value for value in inputs]
    ctx.save_for_backward(*(value if isinstance(value, Tensor) else None for value in inputs))


def _differentiate_gradients(ctx: Any, *upstream_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return the derivatives of `attendet::cbam_backward`, computed by `reference_cbam` in float32.

    The small tensors that are saved for the backward pass are functions of the features and parameters, which the
    reference computes again. They have no gradients of their own.
    """
    create_graph = torch.is_grad_enabled()
    arguments: list[Any] = [
        option if tensor is None else tensor for tensor, option in zip(ctx.saved_tensors, ctx.options, strict=True)
    ]
    differentiated = [0, *(2 + index for index in _PARAMETERS)]
    with torch.enable_grad(), torch.autocast(arguments[0].device.type, enabled=False):
        variables = [index for index in (*differentiated, 1) if arguments[index] is not None]
        for index in variables:
            arguments[index] = _separate(arguments[index])
        x, upstream, *fields = arguments
        y, _ = reference_cbam(x.float(), *_nets(tuple(fields)))
        given = {
            index: gradient
            for index, gradient in zip(differentiated, upstream_gradients, strict=True)
            if gradient is not None and index in variables
        }
        gradients = torch.autograd.grad(y, [arguments[index] for index in given], upstream.float(), create_graph=True)
        second_derivatives = torch.autograd.grad(
            gradients,
            [arguments[index] for index in variables],
            list(given.values()),
            create_graph=create_graph,
            allow_unused=True,
        )
    by_argument = dict(zip(variables, second_derivatives, strict=True))
    return tuple(by_argument.get(index) for index in range(len(arguments) + _SAVED_FIELDS))


def _separate(tensor: Tensor) -> Tensor:
    """Return a tensor with the same values that has a gradient of its own.

    The features can be computed from the same parameters, for example by an earlier call of the same module. A gradient
    of the parameters themselves would include that path, which autograd adds anyway.
    """
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


def check_shapes(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> None:
    """Check that the parameters of the gates fit features (N, C, H, W).

    Raises:
        OptionError: If a shape does not fit.

    Example:
        >>> import torch
        >>> net = SpatialNet(torch.zeros(1, 2, 4, 4), None, None, None, None, torch.zeros(2))
        >>> check_shapes(torch.zeros(1, 8, 5, 5), None, net)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: the kernel size of the fused CBAM must be odd, got 4
    """
    if x.ndim != 4:
        raise OptionError(f"features of the fused CBAM must have the shape (N, C, H, W), got {x.ndim} axes")
    if spatial is not None and spatial.conv_weight.shape[-1] % 2 == 0:
        raise OptionError(f"the kernel size of the fused CBAM must be odd, got {spatial.conv_weight.shape[-1]}")
    for name, tensor, shape in _expected_shapes(x.shape[1], channel, spatial):
        if tensor is None or tensor.shape != shape:
            actual = None if tensor is None else tuple(tensor.shape)
            raise OptionError(f"{name} of the fused CBAM must have the shape {tuple(shape)}, got {actual}")


def _expected_shapes(
    channels: int, channel: ChannelNet | None, spatial: SpatialNet | None
) -> Iterator[tuple[str, Tensor | None, Sequence[int]]]:
    if channel is not None:
        hidden = channel.fc1_weight.shape[0]
        yield "`fc1_weight`", channel.fc1_weight, (hidden, channels)
        yield "`fc2_weight`", channel.fc2_weight, (channels, hidden)
        yield "`range` of the channel gate", channel.range, (2,)
        for name, bias, length in (("fc1_bias", channel.fc1_bias, hidden), ("fc2_bias", channel.fc2_bias, channels)):
            if bias is not None:
                yield f"`{name}`", bias, (length,)
    if spatial is not None:
        size = spatial.conv_weight.shape[-1]
        yield "`conv_weight`", spatial.conv_weight, (1, 2, size, size)
        yield "`range` of the spatial gate", spatial.range, (2,)
        if spatial.norm_weight is not None:
            names = ["norm_weight", "norm_bias"]
            names += [] if spatial.batch_statistics else ["running_mean", "running_var"]
            for name in names:
                yield f"`{name}`", getattr(spatial, name), (1,)


_LIBRARY = torch.library.Library("attendet", "FRAGMENT")
_LIBRARY.define(
    f"cbam(Tensor x, {_CHANNEL_SCHEMA}, {_SPATIAL_SCHEMA}) -> (Tensor, {', '.join(['Tensor'] * _SAVED_FIELDS)})",
)
_LIBRARY.define(
    f"cbam_backward(Tensor x, Tensor upstream, {_CHANNEL_SCHEMA}, {_SPATIAL_SCHEMA}, {_SAVED_SCHEMA}) -> "
    f"(Tensor, {', '.join(['Tensor'] * len(_PARAMETERS))})",
)
for _dispatch_key, _backend in (("CPU", "cpu"), ("CUDA", "gpu")):
    _LIBRARY.impl("cbam", partial(_run_forward, _backend), _dispatch_key)
    _LIBRARY.impl("cbam_backward", partial(_run_backward, _backend), _dispatch_key)
torch.library.register_fake("attendet::cbam", _fake_forward, lib=_LIBRARY)
torch.library.register_fake("attendet::cbam_backward", _fake_backward, lib=_LIBRARY)
torch.library.register_autograd("attendet::cbam", _differentiate, setup_context=_save_for_backward, lib=_LIBRARY)
torch.library.register_autograd(
    "attendet::cbam_backward", _differentiate_gradients, setup_context=_save_for_second_derivative, lib=_LIBRARY
)
