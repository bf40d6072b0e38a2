"""What one forward pass of any network tells: which module gave which map, and what was added to what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from attendet.attention.base import Attention
from attendet.surgery.module_state import preserve_state, version_of

ADDITIONS = frozenset({"add", "add_", "__add__", "__iadd__", "__radd__"})


@dataclass(frozen=True)
class FeatureMap:
    """A tensor with a batch, channels and at least one more axis, as it stood at one moment of the pass.

    Attributes:
        shape: (N, C, …).
        dtype: Of its values.
        device: Where it is.
        parents: Numbers of the maps it was computed from.
        givers: Paths of the modules that returned it, from the inside out.
        readers: Names of the functions that made tensors of it.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    parents: tuple[int, ...]
    givers: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        path: The module's.
        inputs: Numbers of the maps among its arguments, those in lists and mappings included.
        outputs: Likewise of what it returned.
        takes_one: Whether its arguments hold one tensor, which is a map, and hold it bare.
        gives_one: Likewise of what it returned.
    """

    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    takes_one: bool
    gives_one: bool


@dataclass(frozen=True)
class Addition:
    """Two maps of one shape, added while a module ran.

    Attributes:
        inside: Path of the innermost module that was running.
        entry: Numbers of the maps among that module's arguments.
        terms: Numbers of the two maps.
    """

    inside: str
    entry: tuple[int, ...]
    terms: tuple[int, int]


@dataclass(frozen=True)
class Trace:
    """A forward pass.

    Attributes:
        maps: Every map, by number, in the order in which they came to be.
        calls: The calls of every module that ran, by path, in the order in which modules first returned; attention
            is whole, without the modules inside it.
        additions: In their order.
    """

    maps: list[FeatureMap] = field(default_factory=list)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    additions: list[Addition] = field(default_factory=list)

    def output(self, path: str) -> FeatureMap | None:
        """Return the one map that a module gives at its first call, None if it does not run or gives something else."""
        calls = self.calls.get(path)
        return self.maps[calls[0].outputs[0]] if calls and calls[0].gives_one else None

    def input(self, path: str) -> FeatureMap | None:
        """Return the one map that a module takes at its first call, None if it does not run or takes something else."""
        calls = self.calls.get(path)
        return self.maps[calls[0].inputs[0]] if calls and calls[0].takes_one else None

    def image(self) -> FeatureMap | None:
        """Return what the first layer takes: the images, after what a network does to them before that."""
        firsts = (
            call.inputs[0] for calls in self.calls.values() for call in calls if call.takes_one and call.gives_one
        )
        number = next(firsts, None)
        return None if number is None else self.maps[number]

    def stride(self, shape: Sequence[int]) -> float:
        """Return by how much a map of this shape is smaller than the images, along its last axis but one."""
        image = self.image()
        axis = 2 if len(shape) == 3 else -2
        return image.shape[axis] / shape[axis] if image and len(image.shape) == len(shape) else float("nan")

    def descends(self, number: int, ancestors: Iterable[int]) -> set[int]:
        """Return those of the ancestors that a map was computed from, itself included, and not by way of another."""
        wanted, seen, found = set(ancestors), set[int](), set[int]()
        waiting = [number]
        oldest = min(wanted, default=0)
        while waiting:
            current = waiting.pop()
            if current in seen or current < oldest:
                continue
            seen.add(current)
            if current in wanted:
                found.add(current)
            else:
                waiting += self.maps[current].parents
        return found

    def depth(self, number: int, origin: int) -> int:
        """Return the number of maps on the longest way from an origin to a map; 0 if it is the origin itself."""
        lengths = {origin: 0}
        for current in range(origin + 1, number + 1):
            known = [lengths[parent] for parent in self.maps[current].parents if parent in lengths]
            if known:
                lengths[current] = max(known) + 1
        return lengths.get(number, 0)


def trace(model: nn.Module, example: tuple[Any, ...]) -> Trace:
    """Run a network once, in evaluation mode and without gradients, and return what happened.

    The network is as it was before: training flags, buffers, hooks and the state of random numbers.

    Args:
        model: Any module.
        example: Its arguments.

    Raises:
        Exception: Whatever the network raises.
    """
    seen = Trace()
    recorder = _Recorder(seen)
    with (
        preserve_state(model),
        torch.no_grad(),
        _hooked(model, recorder),
        recorder,
    ):
        recorder.number_of_each(example, ())
        model(*example)
    return seen


class _Recorder(TorchFunctionMode):
    """Numbers the maps, and sees what functions make of them."""

    def __init__(self, seen: Trace) -> None:
        super().__init__()
        self.seen = seen
        # Weak, so that a pass takes no more memory than it would unseen.
        self._numbers: Any = WeakIdKeyDictionary()
        self._running: list[tuple[str, tuple[int, ...], bool]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        before = self._known((args, kwargs))
        name = getattr(func, "__name__", "")
        result = func(*args, **kwargs)
        self.number_of_each(result, before)
        if any(isinstance(value, Tensor) for value in _flat(result)):
            for number in before:
                self.seen.maps[number].readers.append(name)
        if name in ADDITIONS and len(before) == 2 and self._running:
            inside, entry, in_attention = self._running[-1]
            if not in_attention and self.seen.maps[before[0]].shape == self.seen.maps[before[1]].shape:
                self.seen.additions.append(Addition(inside, entry, (before[0], before[1])))
        return result

    def number_of_each(self, value: Any, parents: tuple[int, ...]) -> None:
        """Number the maps in a value that have none, or were changed in place since they were numbered."""
        for tensor in _maps(value):
            last, _ = self._numbers.get(tensor, (None, None))
            version = version_of(tensor)
            if version != last:
                self._numbers[tensor] = (version, len(self.seen.maps))
                self.seen.maps.append(FeatureMap(tuple(tensor.shape), tensor.dtype, tensor.device, parents))

    def enter(self, path: str, module: nn.Module, arguments: Any) -> None:
        """Note that a module begins."""
        self._running.append((path, self._known(arguments), isinstance(module, Attention)))

    def leave(self, path: str, arguments: Any, output: Any) -> None:
        """Note that a module has returned."""
        _, inputs, _ = self._running.pop()
        outputs = self._known(output)
        gives_one = isinstance(output, Tensor) and len(outputs) == 1
        tensors = [value for value in _flat(arguments) if isinstance(value, Tensor)]
        bare = any(value is tensors[0] for value in (*arguments[0], *arguments[1].values())) if tensors else False
        takes_one = len(tensors) == 1 and len(inputs) == 1 and bare
        self.seen.calls.setdefault(path, []).append(Call(path, inputs, outputs, takes_one, gives_one))
        if gives_one:
            self.seen.maps[outputs[0]].givers.append(path)

    def _known(self, value: Any) -> tuple[int, ...]:
        numbers = (self._numbers.get(tensor, (None, None)) for tensor in _maps(value))
        return tuple(number for _, number in numbers if number is not None)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _maps(value: Any) -> list[Tensor]:
    return [
        item
        for item in _flat(value)
        if isinstance(item, Tensor)
        and item.ndim >= 3
        and item.is_floating_point()
        and not isinstance(item, nn.Parameter)
    ]


@contextmanager
def _hooked(model: nn.Module, recorder: _Recorder) -> Iterator[None]:
    handles = []
    try:
        inner = {part for m in model.modules() if isinstance(m, Attention) for part in m.modules() if part is not m}
        for path, module in model.named_modules():
            if module in inner and not isinstance(module, Attention):
                continue

            def enter(module: nn.Module, args: Any, kwargs: Any, path: str = path) -> None:
                recorder.enter(path, module, (args, kwargs))

            def leave(_: nn.Module, args: Any, kwargs: Any, output: Any, path: str = path) -> None:
                recorder.leave(path, (args, kwargs), output)

            # After all other hooks: what they make of an input or output is what the module takes or gives.
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()
