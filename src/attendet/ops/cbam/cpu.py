"""The fused CBAM on a CPU: calls of the C++ that `compiled` has made of `native/`."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_double, c_int32, c_int64, c_void_p
from dataclasses import fields

import torch
from torch import Tensor

from attendet.ops.cbam import compiler
from attendet.ops.cbam.reference import ChannelNet, SpatialNet
from attendet.ops.cbam.saved_tensors import Kept, ParameterGradients

# As native/cbam.cpp numbers them.
DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


def structure(name: str, pointers: Sequence[str], others: Sequence[tuple[str, type]] = ()) -> type[Structure]:
    """Return a C structure of pointers, then of other fields."""
    return type(name, (Structure,), {"_fields_": [*((pointer, c_void_p) for pointer in pointers), *others]})


CALL = structure(
    "Call",
    (),
    [
        *((name, c_int64) for name in ("samples", "channels", "height", "width")),
        *((name, c_int32) for name in ("dtype", "last", "threads")),
    ],
)
CHANNEL = structure("ChannelNet", ("fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "range"), [("hidden", c_int64)])
SPATIAL = structure(
    "SpatialNet",
    ("conv_weight", "norm_weight", "norm_bias", "running_mean", "running_var", "range"),
    [("size", c_int64), ("average_first", c_int32), ("batch_statistics", c_int32), ("eps", c_double)],
)
KEPT = structure("Kept", [field.name for field in fields(Kept)])
GRADIENTS = structure("ParameterGradients", [field.name for field in fields(ParameterGradients)])


def forward(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> tuple[Tensor, Kept]:
    """Return the gated features and what the backward pass needs.

    Args:
        x: Features (N, C, H, W), contiguous or channels-last, in float32, bfloat16 or float16.
        channel: The channel gate in contiguous float32; None for none.
        spatial: The spatial gate, likewise.

    Raises:
        OptionError: If the C++ cannot be compiled here.
    """
    y = torch.empty_like(x)
    kept = Kept.for_features(x, channel, spatial)
    structures = (call_of(x), channel_structure(channel), spatial_structure(spatial), filled(KEPT, kept))
    compiler.load().cbam_forward(*structures, pointer(x), pointer(y))
    return y, kept


def backward(
    x: Tensor, upstream: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None, kept: Kept
) -> tuple[Tensor, ParameterGradients]:
    """Return the gradient of the features and of the parameters; `upstream` has the layout of x."""
    gradient = torch.empty_like(x)
    gradients = ParameterGradients.for_nets(channel, spatial)
    structures = (call_of(x), channel_structure(channel), spatial_structure(spatial), filled(KEPT, kept))
    of_features = (pointer(x), pointer(upstream), pointer(gradient))
    compiler.load().cbam_backward(*structures, *of_features, filled(GRADIENTS, gradients))
    return gradient, gradients


def call_of(x: Tensor) -> object:
    """Return what a call is about."""
    return byref(CALL(*x.shape, DTYPES[x.dtype], not x.is_contiguous(), torch.get_num_threads()))


def channel_structure(net: ChannelNet | None) -> object:
    """Return the net as C++ takes it; a null pointer for none."""
    return None if net is None else byref(CHANNEL(*map(pointer, vars(net).values()), net.fc1_weight.shape[0]))


def spatial_structure(net: SpatialNet | None) -> object:
    """Return the net as C++ takes it; a null pointer for none."""
    if net is None:
        return None
    *tensors, average_first, batch_statistics, eps = vars(net).values()
    others = (net.conv_weight.shape[-1], average_first, batch_statistics, eps)
    return byref(SPATIAL(*map(pointer, tensors), *others))


def filled(kind: type[Structure], tensors: Kept | ParameterGradients) -> object:
    """Return a structure of where tensors start."""
    return byref(kind(*map(pointer, vars(tensors).values())))


def pointer(tensor: Tensor | None) -> c_void_p:
    """Return where a tensor starts; a null pointer where there is none, or nothing in it."""
    return c_void_p(None if tensor is None else tensor.data_ptr())
