"""Choice between plain torch and the fused operators for a call of CBAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch._C._functorch import maybe_current_level  # pyright: ignore[reportMissingModuleSource]
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module

from attendet.attention.cbam.gates import ChannelGate, SpatialGate
from attendet.attention.fx_tracing import tracer_of
from attendet.errors import OptionError, unknown_name
from attendet.ops.cbam import (
    BatchStatistics,
    ChannelNet,
    SpatialNet,
    fused_cbam,
    unsupported_device_reason,
    unsupported_reason,
    warn_of_fallback,
)

Implementation = Literal["auto", "reference", "fused"]
_SUPPORTED_ORDERS = ("channel-first", "channel-only", "spatial-only")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class GatedModule(Protocol):
    """The attributes of a `CBAM` that decide whether the fused operators can compute it."""

    @property
    def order(self) -> str:
        """Order in which the gates are applied."""
        ...

    @property
    def implementation(self) -> str:
        """Implementation that the user asks for, one of `Implementation`."""
        ...

    @property
    def spatial(self) -> SpatialGate:
        """Spatial gate; missing in the order `channel-only`."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """Yield the module itself and all modules in it."""
        ...


def fused_forward(module: GatedModule, x: Tensor, mask: Tensor | None) -> Tensor | None:
    """Return the output of CBAM computed by the fused operators, or None if plain torch has to compute it.

    Raises:
        OptionError: If the module requires the fused operators and they do not support the call.
        UnknownNameError: If the implementation of the module does not exist.
    """
    if module.implementation not in get_args(Implementation):
        raise unknown_name("implementation of CBAM", module.implementation, get_args(Implementation))
    if module.implementation == "reference" or tracer_of(x) is not None or is_observed(module):
        return None
    channel, spatial = channel_net(getattr(module, "channel", None)), spatial_net(getattr(module, "spatial", None))
    reason = _module_reason(module, channel, spatial, mask) or _features_reason(x, channel, spatial)
    reason = reason or (_auto_reason(x) if module.implementation == "auto" else unsupported_reason(x))
    if reason is None:
        return _run(module, x, channel, spatial)
    if module.implementation == "fused":
        raise OptionError(f"the fused CBAM cannot run: {reason}", remedy="use implementation='auto'")
    return None


def channel_net(gate: object) -> ChannelNet | None:
    """Return the parameters of a channel gate for the operators, or None if they do not support the gate."""
    if not isinstance(gate, ChannelGate) or type(gate) is not ChannelGate:
        return None
    if gate.dims != 2 or sorted(gate.pool) != ["avg", "max"] or not type(gate.fc1) is type(gate.fc2) is nn.Linear:
        return None
    return ChannelNet(gate.fc1.weight, gate.fc1.bias, gate.fc2.weight, gate.fc2.bias, gate.range)


def spatial_net(gate: object) -> SpatialNet | None:
    """Return the parameters of a spatial gate for the operators, or None if they do not support the gate."""
    if not isinstance(gate, SpatialGate) or type(gate) is not SpatialGate:
        return None
    if not _is_plain_convolution(gate.conv) or sorted(gate.planes) != ["avg", "max"]:
        return None
    bias, average_first = gate.conv.bias, gate.planes[0] == "avg"
    if type(gate.norm) is not nn.Identity:
        return _net_with_norm(gate, gate.norm, average_first) if bias is None else None
    if bias is None:
        return SpatialNet(gate.conv.weight, None, None, None, None, gate.range, average_first)
    return SpatialNet(gate.conv.weight, *_norm_that_adds(bias), gate.range, average_first, eps=0.0)


def is_observed(module: nn.Module | GatedModule) -> bool:
    """Return whether a submodule has a hook, or the module is being exported, traced, or transformed by `torch.func`.

    Hooks on the module itself do not count, because the module is called as a whole in any case.

    Example:
        >>> module = nn.Sequential(nn.ReLU())
        >>> is_observed(module)
        False
        >>> hook = module[0].register_forward_hook(print)
        >>> is_observed(module)
        True
    """
    if torch.compiler.is_exporting() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return True
    # torch has no public names for these.
    if maybe_current_level() is not None or forward_ad._current_level >= 0:  # noqa: SLF001
        return True
    if torch_module._has_any_global_hook():  # noqa: SLF001
        return True
    return any(getattr(part, hooks) for part in module.modules() if part is not module for hooks in _HOOKS)


def _module_reason(
    module: GatedModule, channel: ChannelNet | None, spatial: SpatialNet | None, mask: Tensor | None
) -> str | None:
    """Return why the fused operators do not support a module or its mask, or None."""
    if module.order not in _SUPPORTED_ORDERS:
        return f"order {module.order!r} is not supported"
    if (channel is None) != (module.order == "spatial-only") or (spatial is None) != (module.order == "channel-only"):
        return "only 2 dims, average and maximum pools, and the original layers of CBAM are supported"
    return None if mask is None else "masks are not supported"


def _features_reason(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> str | None:
    """Return why the features do not fit the parameters, or None."""
    if x.ndim != 4:
        return f"features must have 4 axes, got {x.ndim}"
    reason = _parameters_reason(x, channel, spatial)
    if reason is not None:
        return reason
    if channel is not None and not x.shape[1] == channel.fc1_weight.shape[1] == channel.fc2_weight.shape[0]:
        return f"features must have {channel.fc1_weight.shape[1]} channels, got {x.shape[1]}"
    if spatial is not None and spatial.batch_statistics and x.shape[0] * x.shape[2] * x.shape[3] == 1:
        return "a batch norm needs more than one value per channel in training mode"
    return None


def _parameters_reason(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> str | None:
    """Return why the type, device, or dtype of the parameters does not fit the features, or None."""
    tensors = [value for net in (channel, spatial) if net for value in vars(net).values() if isinstance(value, Tensor)]
    for tensor in tensors:
        if type(tensor) not in (Tensor, nn.Parameter):
            return f"parameters of type {type(tensor).__name__} are not supported"
        if tensor.device != x.device:
            return f"the features are on {x.device}, but a parameter is on {tensor.device}"
    if x.dtype != tensors[0].dtype and not torch.is_autocast_enabled(x.device.type):
        return f"the features are {x.dtype}, but the parameters are {tensors[0].dtype}"
    return None


def _auto_reason(x: Tensor) -> str | None:
    """Return why `auto` uses plain torch, or None. Warn once if only a compiler is missing on a CPU."""
    if x.device.type != "cpu":
        return "the fused operators have not been measured on this device"
    reason = unsupported_reason(x)
    if reason is not None and reason == unsupported_device_reason("cpu"):
        warn_of_fallback(reason)
    return reason


def _net_with_norm(gate: SpatialGate, norm: nn.Module, average_first: bool) -> SpatialNet | None:
    """Return the parameters of a spatial gate with a norm, or None if the operators do not support the norm."""
    if not isinstance(norm, nn.BatchNorm2d) or type(norm) is not nn.BatchNorm2d or norm.momentum is None:
        return None
    mean, var, training = norm.running_mean, norm.running_var, norm.training
    if not norm.affine or mean is None or var is None:
        return None
    return SpatialNet(
        gate.conv.weight, norm.weight, norm.bias, mean, var, gate.range, average_first, training, norm.eps
    )


def _norm_that_adds(bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weight, bias, mean, and variance of a norm that only adds a bias.

    The operators have no bias of the convolution. With `eps` 0 the norm computes (logits - 0) / 1 * 1 + bias, which is
    exact.
    """
    zero, one = bias.new_zeros(bias.shape), bias.new_ones(bias.shape)
    return one, bias, zero, one


def _is_plain_convolution(conv: nn.Module) -> bool:
    """Return whether a layer is a convolution from two planes to one that keeps the size."""
    if type(conv) is not nn.Conv2d or conv.padding_mode != "zeros":
        return False
    size = conv.kernel_size[0]
    same = (conv.padding, conv.stride, conv.dilation) == ((size // 2,) * 2, (1, 1), (1, 1))
    return same and size % 2 == 1 and conv.weight.shape == (1, 2, size, size)


def _run(module: GatedModule, x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> Tensor:
    """Return the output of the fused operators, and update the running statistics of the batch norm."""
    y, statistics = fused_cbam(x, channel, spatial)
    if statistics is not None:
        _update_running_statistics(module.spatial.norm, statistics)
    return y


@torch.no_grad()
def _update_running_statistics(norm: object, statistics: BatchStatistics) -> None:
    """Update the running statistics of a batch norm as the norm does in training mode."""
    if isinstance(norm, nn.BatchNorm2d) and norm.momentum is not None:
        unbiased = statistics.var * (statistics.count / (statistics.count - 1))
        for running, value in ((norm.running_mean, statistics.mean), (norm.running_var, unbiased)):
            if running is not None:
                running.lerp_(value.to(running.dtype), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
