"""Registry of the blocks that model files name, with their wiring rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from attendet.blocks.wiring import ModuleFactory, WiringRule
from attendet.registry import Registry

B = TypeVar("B", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class RegisteredBlock:
    """A block of the registry.

    Attributes:
        make: Class of the block, or a function that returns a module.
        rule: Rule that turns a row of a model file into the module.
    """

    make: ModuleFactory
    rule: WiringRule


blocks = Registry[RegisteredBlock]("block", entry_point_group="attendet.blocks")


def block(rule: WiringRule, *names: str) -> Callable[[B], B]:
    """Return a decorator that registers a class or function under the given names (default: its own name)."""

    def add(make: B) -> B:
        blocks.register(*(names or (make.__name__,)))(RegisteredBlock(make, rule))
        return make

    return add
