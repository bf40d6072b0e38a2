"""A network without its attention, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.surgery.hooks import is_compiled


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """Let every attention module of a network, attached or built in, hand on its features as they are.

    A module that stands in place of another hands on too; the other does not come back.

    Raises:
        OptionError: If the network is compiled, which would not notice.

    Example:
        >>> import torch, attendet
        >>> model = attendet.attention.create("cbam", 64)
        >>> x = torch.rand(1, 64, 8, 8)
        >>> with disabled(model):
        ...     same = torch.equal(model(x), x)
        >>> same, torch.equal(model(x), x)
        (True, False)
    """
    if any(is_compiled(module) for module in model.modules()):
        raise OptionError("a compiled network does not notice", remedy="disable the one it was compiled from")
    # Not by hooks: the modules would still run, and those with batch norms learn their statistics in training.
    awake = [m for m in model.modules() if isinstance(m, Attention) and "forward" not in vars(m)]
    try:
        for module in awake:
            vars(module)["forward"] = _features
        yield
    finally:
        for module in awake:
            del vars(module)["forward"]


def _features(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x
