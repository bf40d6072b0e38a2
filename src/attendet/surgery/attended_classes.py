"""Subclasses of torch's layers that tools which replace layers of a known class do not recognize.

Fusion and quantization by `torch.fx` and `torch.ao` look for layers of exactly the classes of `torch.nn`, and replace
them by new layers without the children and hooks of the old ones. A layer with attached attention therefore gets a
subclass of its class. It computes the same, is an instance of the same classes, and is left alone by these tools.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

_SUFFIX = " with attention"


def protect(module: nn.Module) -> None:
    """Give a layer of torch a subclass of its class; modules of other classes do not change.

    Example:
        >>> norm = nn.BatchNorm2d(8)
        >>> protect(norm)
        >>> type(norm), type(norm) is nn.BatchNorm2d, isinstance(norm, nn.BatchNorm2d)
        (<class 'torch.nn.modules.batchnorm.BatchNorm2d with attention'>, False, True)
        >>> unprotect(norm)
        >>> type(norm) is nn.BatchNorm2d
        True
    """
    layer_class = type(module)
    # Parametrized layers have a class of their own, and tools do not recognize them.
    if parametrize.is_parametrized(module):
        return
    is_layer = layer_class.__module__.startswith(("torch.nn.", "torch.ao.nn.")) and not isinstance(
        module, nn.Sequential | nn.ModuleList | nn.ModuleDict
    )
    if is_layer and not _is_subclass(layer_class):
        _set_class(module, _subclass(layer_class))


def unprotect(module: nn.Module) -> None:
    """Give a layer its own class again."""
    if _is_subclass(type(module)):
        _set_class(module, type(module).__base__)


def _set_class(module: nn.Module, layer_class: type | None) -> None:
    module.__class__ = layer_class  # pyright: ignore[reportAttributeAccessIssue] (not known to be a subclass)


def _is_subclass(layer_class: type) -> bool:
    return layer_class.__qualname__.endswith(_SUFFIX)


@cache
def _subclass(layer_class: type[nn.Module]) -> type[nn.Module]:
    def reduce(module: nn.Module, protocol: Any) -> Any:
        # The subclass cannot be imported by its name. Deep copies and pickles make it again.
        _, _, *state = layer_class.__reduce_ex__(module, protocol)
        return (new_layer, (layer_class,), *state)

    names = {"__module__": layer_class.__module__, "__qualname__": layer_class.__qualname__ + _SUFFIX}
    return type(layer_class.__name__, (layer_class,), {**names, "__reduce_ex__": reduce})


def new_layer(layer_class: type[nn.Module]) -> nn.Module:
    """Return a layer of the subclass without its attributes, which a copy or an unpickled object gets later."""
    subclass = _subclass(layer_class)
    return subclass.__new__(subclass)
