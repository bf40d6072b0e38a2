"""Random CBAM parameters of every variant, for the tests of the operators."""

from dataclasses import fields, replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from attendet.errors import OptionError
from attendet.ops.cbam import ChannelNet, SpatialNet, compiler

VARIANTS = ("plain", "authors", "timm")
ORDERS = ("both", "channel", "spatial")


def compiler_is_missing() -> bool:
    """Return whether no C++ compiler is installed; any other reason why the operators do not run is a defect."""
    try:
        compiler.find_compiler()
    except OptionError:
        return True
    return False


NEEDS_COMPILER = pytest.mark.skipif(compiler_is_missing(), reason="needs a C++ compiler for the fused operators")

Nets = tuple[ChannelNet | None, SpatialNet | None]
Net = TypeVar("Net", ChannelNet, SpatialNet)


def nets(channels: int, variant: str = "plain", order: str = "both", *, training: bool = True, kernel: int = 7) -> Nets:
    """Return nets whose parameters are all random, and large enough that every path affects the output."""
    generator = torch.Generator().manual_seed(channels)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    hidden = max(channels // 2, 1)
    biased, normed = variant == "authors", variant != "plain"
    span = torch.tensor([0.0, 2.0]) if order == "both" else torch.tensor([0.0, 1.0])
    channel = ChannelNet(
        random(hidden, channels),
        random(hidden) if biased else None,
        random(channels, hidden),
        random(channels) if biased else None,
        span,
    )
    norm = (1 + random(1), random(1), random(1), 1 + random(1).square()) if normed else (None, None, None, None)
    taps = random(1, 2, kernel, kernel)
    spatial = SpatialNet(taps, *norm, span, variant == "timm", normed and training, 1e-5)
    return (None if order == "spatial" else channel), (None if order == "channel" else spatial)


def converted(given: Nets, dtype: torch.dtype | None = None, *, learn: bool = False, device: str | None = None) -> Nets:
    """Return copies of the nets in a dtype and on a device, whose parameters require gradients if `learn`."""

    def convert(net: Net) -> Net:
        copies = {}
        for field in fields(net):
            value = getattr(net, field.name)
            if isinstance(value, Tensor):
                learned = learn and field.name not in ("range", "running_mean", "running_var")
                copies[field.name] = (
                    value.detach().to(device or value.device, dtype or value.dtype).clone().requires_grad_(learned)
                )
        return replace(net, **copies)

    channel, spatial = given
    return channel and convert(channel), spatial and convert(spatial)


def parameters(given: Nets) -> dict[str, Tensor]:
    """Return the parameters that require gradients, by name."""
    found = {}
    for net in given:
        for field in fields(net) if net is not None else ():
            value = getattr(net, field.name)
            if isinstance(value, Tensor) and value.requires_grad:
                found[field.name] = value
    return found
