"""The plain twin of a network that was compiled or wrapped, and evaluation mode, both for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

COMPILED = "_compiled_call_impl"
# Distributed training and torch.compile hold the model under one of these names and hold nothing else.
WRAPPER_PREFIXES = ("module.", "_orig_mod.")


@contextmanager
def plain(model: nn.Module) -> Iterator[nn.Module]:
    """Give the network that stands behind `torch.compile` and behind wrappers that distribute it.

    It has the same weights. A compiled network runs code that was made before, and calls neither new hooks nor the
    modules. Afterwards all is compiled as before.

    Args:
        model: A network; compiled as a whole, in parts or in place, or not at all.

    Example:
        >>> import torch
        >>> inner = nn.Sequential(nn.Conv2d(3, 8, 3))
        >>> with plain(torch.compile(inner)) as network:
        ...     network is inner
        True
    """
    while (within := _behind(model)) is not None:
        model = within
    with ExitStack() as undo:
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                twin = child
                while (within := _behind(twin)) is not None:
                    twin = within
                if twin is not child:
                    undo.callback(parent.register_module, name, child)
                    parent.register_module(name, twin)
        for module in list(model.modules()):
            # What `module.compile()` sets, and `torch.compile(module)` does not.
            compiled = vars(module).get(COMPILED)
            if compiled is not None:
                undo.callback(setattr, module, COMPILED, compiled)
                setattr(module, COMPILED, None)
        yield model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode; afterwards every module trains or not as before.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3).train(False))
        >>> with evaluating(model):
        ...     [module.training for module in model]
        [False, False]
        >>> [module.training for module in model]
        [True, False]
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        model.train(False)
        yield
    finally:
        for module, training in flags:
            module.training = training


def _behind(module: nn.Module) -> nn.Module | None:
    """Return what a wrapper runs, None where there is no wrapper."""
    if isinstance(module, DataParallel | DistributedDataParallel):
        return module.module
    within = getattr(module, "_orig_mod", None)
    return within if isinstance(within, nn.Module) else None
