"""Networks inside wrappers (torch.compile, distributed training), and a temporary evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

WRAPPER_PREFIXES = ("module.", "_orig_mod.")
"""How keys of a state dict begin if distributed training or torch.compile wraps the model."""

# `module.compile()` sets this attribute; `torch.compile(module)` returns a wrapper instead.
_COMPILED_CALL = "_compiled_call_impl"

Value = TypeVar("Value")


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside DataParallel, DistributedDataParallel, and torch.compile wrappers, however nested.

    A network that is not wrapped is returned as it is.

    Example:
        >>> network = nn.Conv2d(3, 8, 3)
        >>> unwrap(DataParallel(network)) is network, unwrap(network) is network
        (True, True)
    """
    while True:
        inner = model.module if isinstance(model, DataParallel | DistributedDataParallel) else None
        inner = getattr(model, "_orig_mod", inner)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


@contextmanager
def unwrapped(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the network inside all wrappers, without the wrappers of its submodules.

    A compiled network runs generated code, which ignores new hooks and changed modules. The yielded network has the
    same weights and runs its modules. When the block ends, everything is wrapped and compiled as before.

    Args:
        model: A network; compiled as a whole, in parts, in place, or not at all.

    Example:
        >>> import torch
        >>> inner = nn.Sequential(nn.Conv2d(3, 8, 3))
        >>> with unwrapped(torch.compile(inner)) as network:
        ...     network is inner
        True
    """
    model = unwrap(model)
    with ExitStack() as undo:
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                inner = unwrap(child)
                if inner is not child:
                    undo.callback(parent.register_module, name, child)
                    parent.register_module(name, inner)
        for module in list(model.modules()):
            compiled = vars(module).get(_COMPILED_CALL)
            if compiled is not None:
                undo.callback(setattr, module, _COMPILED_CALL, compiled)
                setattr(module, _COMPILED_CALL, None)
        yield model


def is_compiled(model: nn.Module) -> bool:
    """Return whether a network or a module in it is compiled, by `torch.compile(module)` or `module.compile()`.

    Example:
        >>> import torch
        >>> is_compiled(nn.ReLU()), is_compiled(nn.Sequential(torch.compile(nn.ReLU())))
        (False, True)
    """
    return any(
        hasattr(module, "_orig_mod") or getattr(module, _COMPILED_CALL) is not None for module in model.modules()
    )


def strip_wrapper_prefixes(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Return a state dict under the keys of the network inside all wrappers.

    A prefix is removed only if every key has it.

    Example:
        >>> strip_wrapper_prefixes({"module._orig_mod.conv.weight": 1})
        {'conv.weight': 1}
    """
    stripped = dict(tensors)
    for prefix in WRAPPER_PREFIXES * 2:
        if all(key.startswith(prefix) for key in stripped):
            stripped = {key.removeprefix(prefix): value for key, value in stripped.items()}
    return stripped


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and restore the mode of each module when the block ends.

    The flags are set directly, because a network may override `train` with side effects that cannot be undone.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3).train(False))
        >>> with evaluation_mode(model):
        ...     [module.training for module in model]
        [False, False]
        >>> [module.training for module in model]
        [True, False]
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, training in flags:
            module.training = training
