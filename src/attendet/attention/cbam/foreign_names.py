"""State dicts of other implementations of CBAM: the names of their layers, and the order of their planes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import product

from torch import Tensor, nn

from attendet.attention.cbam.gates import SpatialGate
from attendet.ops.pooling import Pool

_KERNEL = "spatial.conv.weight"

# The names of the two parts, and of the layers in them, that copies of CBAM combine. The layers of the MLP are often
# 1x1 convolutions.
_CHANNEL_PARTS = (
    "ChannelGate",
    "ChannelAttention",
    "channel_attention",
    "channel_att",
    "channel_gate",
    "channel",
    "ca",
)
_SPATIAL_PARTS = (
    "SpatialGate",
    "SpatialAttention",
    "spatial_attention",
    "spatial_att",
    "spatial_gate",
    "spatial",
    "sa",
)
_MLPS = (
    *(("fc1", "fc2"), ("f1", "f2"), ("fc.0", "fc.2"), ("mlp.0", "mlp.2"), ("mlp.1", "mlp.3"), ("se.0", "se.2")),
    *((f"{name}.0", f"{name}.2") for name in ("shared_mlp", "shared_MLP", "sharedMLP")),
)
_CONVOLUTIONS = ("conv", "conv1", "conv2d", "cv1", "spatial.conv", "conv.conv")
_NORMS = ("bn", "bn1", "norm", "spatial.bn", "conv.bn")

FOREIGN_KEYS: Mapping[str, str] = {
    **{
        f"{part}.{layer}.": f"channel.fc{number}."
        for part, mlp in product(_CHANNEL_PARTS, _MLPS)
        for number, layer in enumerate(mlp, 1)
    },
    **{f"{part}.{layer}.": "spatial.conv." for part, layer in product(_SPATIAL_PARTS, _CONVOLUTIONS)},
    **{f"{part}.{layer}.": "spatial.norm." for part, layer in product(_SPATIAL_PARTS, _NORMS)},
}

# The names in the authors' code; it pools the maximum first. Other implementations follow equation 3: the mean first.
_AUTHORS = "SpatialGate."
_PLANES_OF_AUTHORS: tuple[Pool, ...] = ("max", "avg")
_PLANES_OF_OTHERS: tuple[Pool, ...] = ("avg", "max")


def reorder_planes(module: nn.Module, keys: Collection[str], tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors of another implementation for the planes that a CBAM pools.

    The spatial convolution has one slice of weights for each plane. In the authors' code, and in copies that keep its
    names, the planes are the maximum and the mean over channels; in other implementations, the mean and the maximum.
    Some implementations with other names have the maximum first; their weights fit a CBAM to which the order was given
    as `planes`, and are not changed for it.

    Args:
        module: The CBAM.
        keys: The keys of the other implementation.
        tensors: Its tensors by key of the module.

    Example:
        >>> import torch
        >>> from attendet.attention import CBAM
        >>> kernel = torch.stack([torch.ones(7, 7), torch.zeros(7, 7)])[None]
        >>> cbam = CBAM(64)
        >>> for key in ("SpatialGate.spatial.conv.weight", "sa.conv.weight"):
        ...     reorder_planes(cbam, [key], {"spatial.conv.weight": kernel})["spatial.conv.weight"][0, :, 0, 0]
        tensor([0., 1.])
        tensor([1., 0.])
    """
    gate, kernel = getattr(module, "spatial", None), tensors.get(_KERNEL)
    is_of_authors = any(f".{_AUTHORS}" in f".{key}" for key in keys)
    theirs = _PLANES_OF_AUTHORS if is_of_authors else _PLANES_OF_OTHERS
    if kernel is None or not isinstance(gate, SpatialGate) or sorted(gate.planes) != sorted(theirs):
        return tensors
    if gate.has_named_planes and not is_of_authors:
        return tensors
    if kernel.ndim < 2 or kernel.shape[1] != len(theirs):
        return tensors
    return {**tensors, _KERNEL: kernel[:, [theirs.index(plane) for plane in gate.planes]]}
