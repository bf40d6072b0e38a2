"""The fused CBAM on a CPU: calls of the compiled C++ functions in `native/`."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_double, c_int32, c_int64, c_void_p
from dataclasses import fields

import torch
from torch import Tensor

from attendet.ops.cbam import compiler
from attendet.ops.cbam.reference import ChannelNet, SpatialNet
from attendet.ops.cbam.saved_tensors import ParameterGradients, SavedTensors

# The numbers in native/cbam.cpp.
_DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


def _structure(name: str, pointers: Sequence[str], others: Sequence[tuple[str, type]] = ()) -> type[Structure]:
    """Return a C structure of pointers, followed by other fields."""
    return type(name, (Structure,), {"_fields_": [*((pointer, c_void_p) for pointer in pointers), *others]})


_CALL = _structure(
    "Call",
    (),
    [
        *((name, c_int64) for name in ("samples", "channels", "height", "width")),
        *((name, c_int32) for name in ("dtype", "channels_last", "threads")),
    ],
)
_CHANNEL_NET = _structure(
    "ChannelNet", ("fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "range"), [("hidden", c_int64)]
)
_SPATIAL_NET = _structure(
    "SpatialNet",
    ("conv_weight", "norm_weight", "norm_bias", "running_mean", "running_var", "range"),
    [("size", c_int64), ("average_first", c_int32), ("batch_statistics", c_int32), ("eps", c_double)],
)
_SAVED_TENSORS = _structure("SavedTensors", [field.name for field in fields(SavedTensors)])
_GRADIENTS = _structure("ParameterGradients", [field.name for field in fields(ParameterGradients)])


def forward(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> tuple[Tensor, SavedTensors]:
    """Return the gated features, and the tensors that the backward pass needs.

    Args:
        x: Features (N, C, H, W), contiguous or channels-last, in float32, bfloat16, or float16.
        channel: Parameters of the channel gate in contiguous float32; None for no channel gate.
        spatial: Parameters of the spatial gate in contiguous float32; None for no spatial gate.

    Raises:
        OptionError: If the C++ code cannot be compiled on this machine.
    """
    y = torch.empty_like(x)
    saved = SavedTensors.allocate(x, channel, spatial)
    structures = (_call(x), _channel_structure(channel), _spatial_structure(spatial), _fill(_SAVED_TENSORS, saved))
    compiler.load().cbam_forward(*structures, _pointer(x), _pointer(y))
    return y, saved


def backward(
    x: Tensor, upstream: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None, saved: SavedTensors
) -> tuple[Tensor, ParameterGradients]:
    """Return the gradients of the features and of the parameters; `upstream` has the layout of x."""
    gradient = torch.empty_like(x)
    gradients = ParameterGradients.allocate(channel, spatial)
    structures = (_call(x), _channel_structure(channel), _spatial_structure(spatial), _fill(_SAVED_TENSORS, saved))
    maps = (_pointer(x), _pointer(upstream), _pointer(gradient))
    compiler.load().cbam_backward(*structures, *maps, _fill(_GRADIENTS, gradients))
    return gradient, gradients


def _call(x: Tensor) -> object:
    """Return the structure with the shape, dtype, and layout of the features, and the number of threads."""
    return byref(_CALL(*x.shape, _DTYPES[x.dtype], not x.is_contiguous(), torch.get_num_threads()))


def _channel_structure(net: ChannelNet | None) -> object:
    """Return the structure of a channel gate; a null pointer for None."""
    return None if net is None else byref(_CHANNEL_NET(*map(_pointer, vars(net).values()), net.fc1_weight.shape[0]))


def _spatial_structure(net: SpatialNet | None) -> object:
    """Return the structure of a spatial gate; a null pointer for None."""
    if net is None:
        return None
    *tensors, average_first, batch_statistics, eps = vars(net).values()
    others = (net.conv_weight.shape[-1], average_first, batch_statistics, eps)
    return byref(_SPATIAL_NET(*map(_pointer, tensors), *others))


def _fill(kind: type[Structure], tensors: SavedTensors | ParameterGradients) -> object:
    """Return a structure with pointers to the given tensors."""
    return byref(kind(*map(_pointer, vars(tensors).values())))


def _pointer(tensor: Tensor | None) -> c_void_p:
    """Return a pointer to the data of a tensor; a null pointer for None or an empty tensor."""
    return c_void_p(None if tensor is None else tensor.data_ptr())
