"""Loading weights that were saved under other people's names for the same layers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn


def accept_foreign_keys(module: nn.Module, prefixes: Mapping[str, str]) -> None:
    """Let `module.load_state_dict` take foreign keys, at whatever depth the module sits.

    Matrices that were saved as 1x1 convolutions, (out, in, 1, 1), are taken as well, and so are other tensors with
    axes of length one at the end, as norms over such maps have.

    Args:
        module: The module whose state dicts are translated, relative to its own place in the model.
        prefixes: Foreign beginnings of keys and what they are here.
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
