"""Modules, options, and features for the tests of the contract that every attention module fulfills."""

import inspect
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from attendet.attention import Attention, create, names
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


def forms() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every registered module with its defaults, and with every other value of options that have few values."""
    for name in names():
        attention = attentions.get(name)
        yield name, {}
        for option, hint in get_type_hints(attention.__init__).items():
            values = (True, False) if hint is bool else get_args(hint) if get_origin(hint) is Literal else ()
            default = inspect.signature(attention).parameters.get(option)
            for value in values:
                if default is not None and value != default.default:
                    yield name, {option: value}
    yield "control-noise-gate", {"like": "scse", "start": "identity"}
    yield "sk", {"kernel_sizes": (1, 3, 5, 7), "groups": 1, "variant": "biased"}
    yield "gam", {"groups": 4}


FORMS = list(forms())
IDS = [f"{name}-{','.join(f'{key}={value}' for key, value in options.items())}" for name, options in FORMS]


def size_of(options: dict[str, Any], *lengths: int) -> tuple[int, ...]:
    """Return as many of three lengths as a module with these options has position axes."""
    return lengths[: options.get("dims", 2)]
