"""Trace one forward pass of a network: which module returned which feature map, and which maps were added."""

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

_ADDITIONS = frozenset({"add", "add_", "__add__", "__iadd__", "__radd__"})


@dataclass(frozen=True)
class FeatureMap:
    """A tensor (N, C, …) with at least one spatial axis, at one moment of the pass.

    A tensor that is changed in place becomes a new feature map.

    Attributes:
        shape: (N, C, …).
        dtype: Type of its values.
        device: Its device.
        parents: Numbers of the maps from which it was computed.
        producers: Paths of the modules that returned it, from the innermost to the outermost.
        readers: Names of the functions that computed tensors from it.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    parents: tuple[int, ...]
    producers: list[str] = field(default_factory=list)
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
    """

    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    single_input: bool
    single_output: bool


@dataclass(frozen=True)
class Addition:
    """An addition of two maps with the same shape.

    Attributes:
        module: Path of the innermost module that was running.
        inputs: Numbers of the maps among the arguments of that module.
        terms: Numbers of the two maps.
    """

    module: str
    inputs: tuple[int, ...]
    terms: tuple[int, int]


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

    def distance(self, number: int, origin: int) -> int:
        """Return the length of the longest path from an origin to a map, in maps; 0 if it is the origin itself."""
        lengths = {origin: 0}
        for current in range(origin + 1, number + 1):
            known = [lengths[parent] for parent in self.maps[current].parents if parent in lengths]
            if known:
                lengths[current] = max(known) + 1
        return lengths.get(number, 0)


def trace(model: nn.Module, example: tuple[Any, ...]) -> Trace:
    """Run a network once in evaluation mode, without gradients, and return the trace.

    Training flags, buffers, hooks, and random number generators are restored afterwards.

    Args:
        model: Any module.
        example: Its arguments.

    Raises:
        Exception: Any exception that the network raises.
    """
    run = Trace()
    recorder = _Recorder(run)
    with (
        preserve_state(model),
        torch.no_grad(),
        _recorded_calls(model, recorder),
        recorder,
    ):
        recorder.add_maps(example, ())
        model(*example)
    return run


class _Recorder(TorchFunctionMode):
    """Numbers the feature maps, and records the functions and modules that use them."""

    def __init__(self, run: Trace) -> None:
        super().__init__()
        self.run = run
        # Weak references, so that the pass needs no more memory than without the recorder.
        self._numbers: Any = WeakIdKeyDictionary()
        self._running: list[tuple[str, tuple[int, ...], bool]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        inputs = self._numbers_of((args, kwargs))
        name = getattr(func, "__name__", "")
        result = func(*args, **kwargs)
        self.add_maps(result, inputs)
        if any(isinstance(value, Tensor) for value in _flatten(result)):
            for number in inputs:
                self.run.maps[number].readers.append(name)
        if name in _ADDITIONS and len(inputs) == 2 and self._running:
            module, module_inputs, in_attention = self._running[-1]
            if not in_attention and self.run.maps[inputs[0]].shape == self.run.maps[inputs[1]].shape:
                self.run.additions.append(Addition(module, module_inputs, (inputs[0], inputs[1])))
        return result

    def add_maps(self, value: Any, parents: tuple[int, ...]) -> None:
        """Add the maps in a value that are new, or were changed in place since they were added."""
        for tensor in _feature_maps(value):
            known_version, _ = self._numbers.get(tensor, (None, None))
            version = version_of(tensor)
            if version != known_version:
                self._numbers[tensor] = (version, len(self.run.maps))
                self.run.maps.append(FeatureMap(tuple(tensor.shape), tensor.dtype, tensor.device, parents))

    def enter(self, path: str, module: nn.Module, arguments: Any) -> None:
        """Record that a module starts."""
        self._running.append((path, self._numbers_of(arguments), isinstance(module, Attention)))

    def leave(self, path: str, arguments: Any, output: Any) -> None:
        """Record that a module has returned."""
        _, inputs, _ = self._running.pop()
        outputs = self._numbers_of(output)
        single_output = isinstance(output, Tensor) and len(outputs) == 1
        tensors = [value for value in _flatten(arguments) if isinstance(value, Tensor)]
        direct = any(value is tensors[0] for value in (*arguments[0], *arguments[1].values())) if tensors else False
        single_input = len(tensors) == 1 and len(inputs) == 1 and direct
        self.run.calls.setdefault(path, []).append(Call(path, inputs, outputs, single_input, single_output))
        if single_output:
            self.run.maps[outputs[0]].producers.append(path)

    def _numbers_of(self, value: Any) -> tuple[int, ...]:
        numbers = (self._numbers.get(tensor, (None, None)) for tensor in _feature_maps(value))
        return tuple(number for _, number in numbers if number is not None)


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flatten(item)
    else:
        yield value


def _feature_maps(value: Any) -> list[Tensor]:
    return [
        item
        for item in _flatten(value)
        if isinstance(item, Tensor)
        and item.ndim >= 3
        and item.is_floating_point()
        and not isinstance(item, nn.Parameter)
    ]


@contextmanager
def _recorded_calls(model: nn.Module, recorder: _Recorder) -> Iterator[None]:
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

            # These hooks run after all others, so that they see what other hooks have changed.
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()
