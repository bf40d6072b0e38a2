"""torch.fx records a call of an attention module as one node of its graph.

`torch.fx.symbolic_trace`, torchvision's `create_feature_extractor`, and FX quantization call a network with proxies
instead of tensors and record the operations. Recorded operation by operation, an attention module would keep the
decisions of that call (mode, mask, fused or plain) for all later ones. A traced network therefore contains the modules
themselves. If an attention module itself is traced, its gates remain whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from torch import nn
from torch.fx import Proxy
from torch.fx.proxy import TracerBase

P = ParamSpec("P")
R = TypeVar("R")


class TracedAsOne(nn.Module):
    """Base class of modules that torch.fx does not trace through when they are part of the traced network."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module, or record the call if an argument is a proxy."""
        tracer: Any = tracer_of(*args, *kwargs.values())
        if tracer is None:
            return super().__call__(*args, **kwargs)

        def record(*args: Any, **kwargs: Any) -> Proxy:
            return tracer.create_proxy("call_module", tracer.path_of_module(self), args, kwargs)

        # Tracers find out here which module a node belongs to.
        return tracer.call_module(self, record, args, kwargs)


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that torch.fx records as one call.

    The effect is that of `torch.fx.wrap`, but also for calls from other files.
    """

    @wraps(function)
    def call_or_record(*args: P.args, **kwargs: P.kwargs) -> R:
        tracer: Any = tracer_of(*args, *kwargs.values())
        if tracer is None:
            return function(*args, **kwargs)
        return tracer.create_proxy("call_function", call_or_record, args, kwargs)

    return call_or_record


def tracer_of(*arguments: object) -> TracerBase | None:
    """Return the tracer whose proxies are among the arguments, or None.

    Example:
        >>> import torch
        >>> print(tracer_of(torch.ones(1), None))
        None
    """
    return next((argument.tracer for argument in arguments if isinstance(argument, Proxy)), None)
