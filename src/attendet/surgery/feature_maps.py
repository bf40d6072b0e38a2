"""The record of one forward pass: feature maps, calls of modules, and additions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import torch


@dataclass(frozen=True)
class FeatureMap:
    """A tensor (N, C, …) with at least one spatial axis, at one moment of the pass.

    A tensor that is changed in place becomes a new feature map.

    Attributes:
        shape: (N, C, …).
        dtype: Type of its values.
        device: Its device.
        parents: Numbers of the maps from which it was computed.
        function: Name of the function that computed it; empty for the example.
        scope: Path of the innermost module that was running. Of several paths of a module, the one inside its caller.
        constant: True if it was not computed from the example, as a reshaped parameter.
        producers: Paths of the modules that returned it, from the innermost to the outermost.
        creators: The producers in which it was computed. The others, such as an identity, only returned their input.
        readers: Paths of the innermost modules that were running when a function computed a tensor from it.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    parents: tuple[int, ...]
    function: str = ""
    scope: str = ""
    constant: bool = False
    producers: list[str] = field(default_factory=list)
    creators: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        path: Path of the module.
        inputs: Numbers of the maps among its arguments, including those in lists and mappings.
        outputs: Numbers of the maps that it returned, including those in lists and mappings.
        single_input: True if one map is the only tensor among the arguments, and is not inside a list or mapping.
        single_output: True if the module returned one map and nothing else.
        created: Numbers of the maps that were computed during the call.
    """

    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    single_input: bool
    single_output: bool
    created: range


class Scope(NamedTuple):
    """A running module.

    Attributes:
        path: Path of the module.
        inputs: Numbers of the maps among its arguments.
    """

    path: str
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Addition:
    """An addition of two maps with the same shape.

    Attributes:
        scopes: The modules that were running, from the innermost to the whole network.
        terms: Numbers of the two maps.
        total: Number of their sum.
    """

    scopes: tuple[Scope, ...]
    terms: tuple[int, int]
    total: int

    @property
    def module(self) -> str:
        """Path of the innermost module that was running."""
        return self.scopes[0].path


@dataclass(frozen=True)
class Trace:
    """A forward pass.

    Attributes:
        maps: Every feature map in the order of creation; its number is its index.
        calls: Calls of every module by path, in the order in which modules first returned. The modules inside of
            attention modules are left out.
        additions: The additions in their order.
    """

    maps: list[FeatureMap] = field(default_factory=list)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    additions: list[Addition] = field(default_factory=list)

    def output(self, path: str) -> FeatureMap | None:
        """Return the map that a module returned in its first call; None unless it returned exactly one map."""
        calls = self.calls.get(path)
        return self.maps[calls[0].outputs[0]] if calls and calls[0].single_output else None

    def input(self, path: str) -> FeatureMap | None:
        """Return the map that was the argument of a module in its first call; None unless it was exactly one map."""
        calls = self.calls.get(path)
        return self.maps[calls[0].inputs[0]] if calls and calls[0].single_input else None

    def image(self) -> FeatureMap | None:
        """Return the input of the first layer: the images, after any preprocessing by the network."""
        inputs = (
            call.inputs[0]
            for calls in self.calls.values()
            for call in calls
            if call.single_input and call.single_output
        )
        number = next(inputs, None)
        return None if number is None else self.maps[number]

    def stride(self, shape: Sequence[int]) -> float:
        """Return the stride of a map with this shape, measured along the second to last axis (NaN if undefined)."""
        image = self.image()
        axis = 2 if len(shape) == 3 else -2
        return image.shape[axis] / shape[axis] if image and len(image.shape) == len(shape) else float("nan")

    def nearest_ancestors(self, number: int, candidates: Iterable[int]) -> set[int]:
        """Return the nearest candidates from which a map was computed, without the candidates that came before them.

        A map counts as its own ancestor.

        Args:
            number: Number of the map.
            candidates: Numbers of the maps to look for.
        """
        wanted, seen, found = set(candidates), set[int](), set[int]()
        pending = [number]
        oldest = min(wanted, default=0)
        while pending:
            current = pending.pop()
            if current in seen or current < oldest:
                continue
            seen.add(current)
            if current in wanted:
                found.add(current)
            else:
                pending += self.maps[current].parents
        return found

    def latest_common_ancestor(self, numbers: Iterable[int]) -> int | None:
        """Return the latest map from which all maps were computed, or None.

        A map counts as its own ancestor. Constant maps do not count.
        """
        # Parents come before their children, so that a map is reached from all its descendants before it is visited.
        origins = {number: {number} for number in numbers}
        count = len(origins)
        pending = [-number for number in origins]
        heapify(pending)
        while pending:
            current = -heappop(pending)
            if len(origins[current]) == count:
                return current
            for parent in self.maps[current].parents:
                if self.maps[parent].constant:
                    continue
                if parent not in origins:
                    origins[parent] = set()
                    heappush(pending, -parent)
                origins[parent] |= origins[current]
        return None

    def ancestors(self, number: int) -> set[int]:
        """Return the maps from which a map was computed, and the map itself."""
        found, pending = set[int](), [number]
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                pending += self.maps[current].parents
        return found

    def distance(self, number: int, origin: int) -> int:
        """Return the length of the longest path from an origin to a map, in maps; 0 if it is the origin itself."""
        lengths = {origin: 0}
        for current in range(origin + 1, number + 1):
            known = [lengths[parent] for parent in self.maps[current].parents if parent in lengths]
            if known:
                lengths[current] = max(known) + 1
        return lengths.get(number, 0)
