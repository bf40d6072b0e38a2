"""Loading of state dicts that name the same layers differently."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn


def accept_foreign_keys(module: nn.Module, prefixes: Mapping[str, str]) -> None:
    """Make `load_state_dict` of a module, or of a model that contains it, accept the keys of other implementations.

    It also accepts tensors with additional axes of length 1 at the end, such as linear layers that were saved as 1x1
    convolutions (out, in, 1, 1).

    Args:
        module: Module whose state dict is translated.
        prefixes: Prefixes of foreign keys, relative to the module, with the prefixes that replace them.
    """
    module.register_load_state_dict_pre_hook(partial(_translate, prefixes))


def _translate(prefixes: Mapping[str, str], module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    for foreign, ours in prefixes.items():
        for key in [key for key in state if key.startswith(prefix + foreign)]:
            state[prefix + ours + key.removeprefix(prefix + foreign)] = state.pop(key)
    for name, parameter in module.named_parameters():
        value = state.get(prefix + name)
        if value is not None and value.ndim > parameter.ndim and value.shape == _with_ones(parameter, value.ndim):
            state[prefix + name] = value.reshape(parameter.shape)


def _with_ones(parameter: Tensor, axes: int) -> tuple[int, ...]:
    return (*parameter.shape, *[1] * (axes - parameter.ndim))
