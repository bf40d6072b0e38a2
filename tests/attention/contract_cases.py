"""Modules, options, and features for the tests of the contract that every attention module fulfills."""

from typing import Any

import torch
from torch import Tensor, nn

from attendet.attention import Attention, create
from attendet.attention.catalog import attentions, options_of

CHANNELS = 64


# Options for modules with eight channels.
SMALL: dict[str, dict[str, Any]] = {
    "control-conv1x1": {"parameters": 32},
    "control-noise-gate": {"reduction": 2},
}


def small(name: str) -> Attention:
    by_reduction = {"reduction": 2} if "reduction" in options_of(attentions.get(name)) else {}
    return create(name, 8, **SMALL.get(name, by_reduction))


def started(name: str, start: str) -> Attention:
    """Return a module with the given start; `control-identity` has no such option."""
    return create(name, CHANNELS, **({"start": start} if "start" in options_of(attentions.get(name)) else {}))


def randomize(module: nn.Module) -> nn.Module:
    """Set all parameters to random values, including parameters that start at zero."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def features(*size: int, device: torch.device | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(sum(size))
    return torch.randn(2, CHANNELS, *size, generator=generator).to(device)
