"""The blocks that rows of model files name, each with its wiring rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from attendet.blocks.wiring import Maker, WiringRule
from attendet.registry import Registry

B = TypeVar("B", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class Block:
    """What makes a module, usually a class, and the rule by which a row becomes one."""

    make: Maker
    rule: WiringRule


blocks = Registry[Block]("block", entry_point_group="attendet.blocks")


def block(rule: WiringRule, *names: str) -> Callable[[B], B]:
    """Return a decorator that registers what makes a block under these names, or its own."""

    def add(make: B) -> B:
        blocks.register(*(names or (make.__name__,)))(Block(make, rule))
        return make

    return add
