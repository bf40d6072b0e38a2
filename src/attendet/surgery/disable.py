"""A network without its attention, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.errors import OptionError


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
    if any(hasattr(module, "_orig_mod") for module in model.modules()):
        raise OptionError("a compiled network does not notice", remedy="disable the one it was compiled from")
    handles = []
    try:
        handles += [m.register_forward_hook(_features) for m in model.modules() if isinstance(m, Attention)]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _features(_: nn.Module, args: tuple[Any, ...], __: Tensor) -> Tensor:
    return args[0]
