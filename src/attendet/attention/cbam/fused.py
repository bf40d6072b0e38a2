"""When the fused operators may stand in for CBAM's gates, and how they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch._C._functorch import maybe_current_level  # pyright: ignore[reportMissingModuleSource]
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module

from attendet.attention.cbam.gates import ChannelGate, SpatialGate
from attendet.errors import OptionError, unknown_name
from attendet.ops.cbam import (
    BatchStatistics,
    ChannelNet,
    SpatialNet,
    device_obstacle,
    fused_cbam,
    obstacle,
    warn_of_fallback,
)

Implementation = Literal["auto", "reference", "fused"]
ORDERS = ("channel-first", "channel-only", "spatial-only")


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
    """Return what CBAM makes of features by the fused operators, or None where plain torch has to compute it.

    Raises:
        OptionError: If the module asks for the fused operators and they do not apply; the error says why.
        UnknownNameError: If it asks for an implementation that does not exist.
    """
    if module.implementation not in get_args(Implementation):
        raise unknown_name("implementation of CBAM", module.implementation, get_args(Implementation))
    if module.implementation == "reference" or is_observed(module):
        return None
    channel, spatial = channel_net(getattr(module, "channel", None)), spatial_net(getattr(module, "spatial", None))
    reason = obstacle_in_module(module, channel, spatial, mask) or obstacle_in_features(x, channel, spatial)
    reason = reason or (obstacle_to_auto(x) if module.implementation == "auto" else obstacle(x))
    if reason is None:
        return run(module, x, channel, spatial)
    if module.implementation == "fused":
        raise OptionError(f"the fused CBAM cannot run: {reason}", remedy="give implementation='auto'")
    return None


def obstacle_in_module(
    module: GatedModule, channel: ChannelNet | None, spatial: SpatialNet | None, mask: Tensor | None
) -> str | None:
    """Return what the fused operators do not know in a module or its call, or None."""
    if module.order not in ORDERS:
        return f"it does not know the order {module.order}"
    if (channel is None) != (module.order == "spatial-only") or (spatial is None) != (module.order == "channel-only"):
        return "it knows 2 dims, average and maximum, and the layers that CBAM is made of"
    return None if mask is None else "it knows no masks"


def obstacle_in_features(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> str | None:
    """Return why features do not fit the nets, or None."""
    if x.ndim != 4:
        return f"it knows features of 4 axes, not of {x.ndim}"
    reason = obstacle_in_parameters(x, channel, spatial)
    if reason is not None:
        return reason
    if channel is not None and not x.shape[1] == channel.fc1_weight.shape[1] == channel.fc2_weight.shape[0]:
        return f"{x.shape[1]} channels are not {channel.fc1_weight.shape[1]}"
    if spatial is not None and spatial.batch_statistics and x.shape[0] * x.shape[2] * x.shape[3] == 1:
        return "a batch norm needs more than one value"
    return None


def obstacle_in_parameters(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> str | None:
    """Return why the tensors of the nets cannot be read beside the features, or None."""
    tensors = [value for net in (channel, spatial) if net for value in vars(net).values() if isinstance(value, Tensor)]
    for tensor in tensors:
        if type(tensor) not in (Tensor, nn.Parameter):
            return f"it does not know parameters of type {type(tensor).__name__}"
        if tensor.device != x.device:
            return f"the features are on {x.device}, a parameter is on {tensor.device}"
    if x.dtype != tensors[0].dtype and not torch.is_autocast_enabled(x.device.type):
        return f"the features are {x.dtype}, the parameters {tensors[0].dtype}"
    return None


def obstacle_to_auto(x: Tensor) -> str | None:
    """Return why `auto` takes plain torch, and warn once where a CPU lacks no more than a compiler."""
    if x.device.type != "cpu":
        return "it has not been measured on this device"
    reason = obstacle(x)
    if reason is not None and reason == device_obstacle("cpu"):
        warn_of_fallback(reason)
    return reason


def channel_net(gate: object) -> ChannelNet | None:
    """Return the gate as the operators take it, or None if it is none that they know."""
    if not isinstance(gate, ChannelGate) or type(gate) is not ChannelGate:
        return None
    if gate.dims != 2 or sorted(gate.pool) != ["avg", "max"] or not type(gate.fc1) is type(gate.fc2) is nn.Linear:
        return None
    return ChannelNet(gate.fc1.weight, gate.fc1.bias, gate.fc2.weight, gate.fc2.bias, gate.range)


def spatial_net(gate: object) -> SpatialNet | None:
    """Return the gate as the operators take it, or None if it is none that they know."""
    if not isinstance(gate, SpatialGate) or type(gate) is not SpatialGate:
        return None
    norm, average_first = gate.norm, gate.planes[0] == "avg"
    if not is_plain_convolution(gate.conv) or sorted(gate.planes) != ["avg", "max"]:
        return None
    if type(norm) is nn.Identity:
        return SpatialNet(gate.conv.weight, None, None, None, None, gate.range, average_first)
    if not isinstance(norm, nn.BatchNorm2d) or type(norm) is not nn.BatchNorm2d or norm.momentum is None:
        return None
    mean, var, training = norm.running_mean, norm.running_var, norm.training
    if not norm.affine or mean is None or var is None:
        return None
    return SpatialNet(
        gate.conv.weight, norm.weight, norm.bias, mean, var, gate.range, average_first, training, norm.eps
    )


def is_plain_convolution(conv: nn.Module) -> bool:
    """Return whether a convolution is one of two planes to one and to the same size, without a bias.

    Tools that fold a batch norm into it leave a bias.
    """
    if type(conv) is not nn.Conv2d or conv.bias is not None or conv.padding_mode != "zeros":
        return False
    size = conv.kernel_size[0]
    same = (conv.padding, conv.stride, conv.dilation) == ((size // 2,) * 2, (1, 1), (1, 1))
    return same and size % 2 == 1 and conv.weight.shape == (1, 2, size, size)


def run(module: GatedModule, x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> Tensor:
    """Return the gated features, and let the batch norm follow the statistics of the batch."""
    y, statistics = fused_cbam(x, channel, spatial)
    if statistics is not None:
        follow(module.spatial.norm, statistics)
    return y


@torch.no_grad()
def follow(norm: object, statistics: BatchStatistics) -> None:
    """Move the running statistics of a batch norm towards those of a batch, as the norm itself would."""
    if isinstance(norm, nn.BatchNorm2d) and norm.momentum is not None:
        unbiased = statistics.var * (statistics.count / (statistics.count - 1))
        for running, value in ((norm.running_mean, statistics.mean), (norm.running_var, unbiased)):
            if running is not None:
                running.lerp_(value.to(running.dtype), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_observed(module: nn.Module | GatedModule) -> bool:
    """Return whether a part of a module has a hook, or the module is being exported or traced.

    Hooks on the module itself do not count: it is called as a whole either way.

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
    return any(getattr(part, hooks) for part in module.modules() if part is not module for hooks in HOOKS)
