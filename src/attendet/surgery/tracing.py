"""Trace one forward pass of a network: which module returned which feature map, and which maps were added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from attendet.attention.base import Attention
from attendet.surgery.feature_maps import Addition, Call, FeatureMap, Scope, Trace
from attendet.surgery.module_state import preserve_state, version_of

_ADDITIONS = frozenset({"add", "add_", "__add__", "__iadd__", "__radd__"})


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
    aliases: dict[nn.Module, list[str]] = defaultdict(list)
    for path, module in model.named_modules(remove_duplicate=False):
        aliases[module].append(path)
    recorder = _Recorder(run, aliases)
    with (
        preserve_state(model),
        torch.no_grad(),
        _recorded_calls(model, recorder),
        recorder,
    ):
        recorder.add_example(example)
        model(*example)
    return run


@dataclass(frozen=True)
class _Running:
    """A running module: its scope, the path at which its caller holds it, and the number of maps at its start."""

    scope: Scope
    alias: str
    in_attention: bool
    start: int


class _Recorder(TorchFunctionMode):
    """Numbers the feature maps, and records the functions and modules that use them."""

    def __init__(self, run: Trace, aliases: Mapping[nn.Module, list[str]]) -> None:
        super().__init__()
        self.run = run
        self._aliases = aliases
        # Weak references, so that the pass needs no more memory than without the recorder.
        self._numbers: Any = WeakIdKeyDictionary()
        self._running: list[_Running] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        inputs = self._numbers_of((args, kwargs))
        name = getattr(func, "__name__", "")
        result = func(*args, **kwargs)
        self._add_maps(result, inputs, name)
        if any(isinstance(value, Tensor) for value in _flatten(result)):
            for number in inputs:
                self.run.maps[number].readers.append(self._running[-1].alias if self._running else "")
        if name in _ADDITIONS and len(inputs) == 2 and self._running and not self._running[-1].in_attention:
            scopes = tuple(running.scope for running in reversed(self._running))
            totals = self._numbers_of(result)
            if totals and self.run.maps[inputs[0]].shape == self.run.maps[inputs[1]].shape:
                self.run.additions.append(Addition(scopes, (inputs[0], inputs[1]), totals[0]))
        return result

    def add_example(self, example: tuple[Any, ...]) -> None:
        """Add the maps among the arguments of the network."""
        self._add_maps(example, (), "")

    def _add_maps(self, value: Any, parents: tuple[int, ...], function: str) -> None:
        """Add the maps in a value that are new, or were changed in place since they were added."""
        constant = bool(function) and all(self.run.maps[parent].constant for parent in parents)
        scope = self._running[-1].alias if self._running else ""
        for tensor in _feature_maps(value):
            known_version, _ = self._numbers.get(tensor, (None, None))
            version = version_of(tensor)
            if version != known_version:
                shape, dtype, device = tuple(tensor.shape), tensor.dtype, tensor.device
                self._numbers[tensor] = (version, len(self.run.maps))
                self.run.maps.append(FeatureMap(shape, dtype, device, parents, function, scope, constant))

    def enter(self, path: str, module: nn.Module, arguments: Any) -> None:
        """Record that a module starts."""
        aliases = self._aliases[module]
        caller = self._running[-1].alias if self._running else ""
        alias = next((alias for alias in aliases if alias.rpartition(".")[0] == caller), path)
        scope = Scope(path, self._numbers_of(arguments))
        self._running.append(_Running(scope, alias, isinstance(module, Attention), len(self.run.maps)))

    def leave(self, path: str, arguments: Any, output: Any) -> None:
        """Record that a module has returned."""
        running = self._running.pop()
        inputs, created = running.scope.inputs, range(running.start, len(self.run.maps))
        outputs = self._numbers_of(output)
        single_output = isinstance(output, Tensor) and len(outputs) == 1
        tensors = [value for value in _flatten(arguments) if isinstance(value, Tensor)]
        direct = any(value is tensors[0] for value in (*arguments[0], *arguments[1].values())) if tensors else False
        single_input = len(tensors) == 1 and len(inputs) == 1 and direct
        self.run.calls.setdefault(path, []).append(Call(path, inputs, outputs, single_input, single_output, created))
        if single_output:
            feature = self.run.maps[outputs[0]]
            feature.producers.append(path)
            if outputs[0] in created:
                feature.creators.append(path)

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
