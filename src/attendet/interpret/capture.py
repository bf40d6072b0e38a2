"""The weights that attention multiplies by, taken where they are made, in a pass of any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from torch import Tensor, nn

from attendet.attention.base import AdditiveTerm, Attention, AttentionWeights, Gate, SoftmaxWeights
from attendet.errors import OptionError, unknown_name

OutputRole = Literal["gate", "weights", "shares", "addend"]

PARTS = (AttentionWeights, SoftmaxWeights, AdditiveTerm)


@dataclass(frozen=True)
class GateOutput:
    """What one of the modules that an attention consists of gave.

    Attributes:
        name: Path of the module in the attention module, such as `channel` or `gate.hw`.
        role: A `gate` is weights that are a sigmoid of a known range; `weights` multiply features without one, `shares`
            choose among branches or positions, an `addend` is added.
        value: The very tensor that the module returned, without its history. Weights that all images share may come
            without the axis of images: they have one here, of length 1.
        outermost: Whether it joins the features itself; what is inside of another is part of that one's computation.
        range: Of a gate, the least and the greatest weight that it can give.
    """

    name: str
    role: OutputRole
    value: Tensor
    outermost: bool
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class AttentionPass:
    """What an attention module did in one pass.

    Attributes:
        path: Its path in the network.
        module: The module.
        call: 0, or how often it had run before in the same pass.
        before: The features (N, C, H, W) that it took.
        after: What it made of them.
        parts: What its parts gave, in the order in which they ran.
    """

    path: str
    module: Attention
    call: int
    before: Tensor
    after: Tensor
    parts: tuple[GateOutput, ...]

    @property
    def joining(self) -> tuple[GateOutput, ...]:
        """The parts that join the features themselves."""
        return tuple(part for part in self.parts if part.outermost)


def attention_sites(model: nn.Module, pattern: str = "*") -> dict[str, Attention]:
    """Return the attention modules of a network by their paths; of those inside of others, the outermost.

    Args:
        model: Any network, with attention attached or built in.
        pattern: Which, by their paths, with `*` and `?` as in names of files.

    Raises:
        OptionError: If there is no attention in the network.
        UnknownNameError: If no path matches.

    Example:
        >>> import attendet
        >>> list(attention_sites(attendet.build("yolov5n_CBAM")))
        ['model.9']
    """
    found: dict[str, Attention] = {}
    for path, module in model.named_modules():
        inside = any(not outer or path.startswith(f"{outer}.") for outer in found)
        if isinstance(module, Attention) and not inside:
            found[path] = module
    if not found:
        raise OptionError(
            f"there is no attention in this {type(model).__name__}", remedy="attach some: attendet.attach(model, …)"
        )
    chosen = {path: module for path, module in found.items() if fnmatchcase(path, pattern)}
    if not chosen:
        raise unknown_name("attention at", pattern, found)
    return chosen


@contextmanager
def capture_attention(
    model: nn.Module, receive: Callable[[AttentionPass], None], pattern: str = "*"
) -> Iterator[dict[str, Attention]]:
    """Hand on what attention does, each time that it has done it, while the block runs.

    Nothing is kept here, so that memory is bounded by what `receive` keeps. The tensors are those that the network
    computes with: what would change them has to copy them first. Training flags are left as they are.

    Args:
        model: Any network, neither compiled nor wrapped (see `attendet.utils.modules`).
        receive: Called in the middle of the pass, right after an attention module.
        pattern: Which modules, as in `attention_sites`.

    Yields:
        The modules by path.

    Raises:
        OptionError: If there is no attention in the network.
        UnknownNameError: If no path matches.

    Example:
        >>> import torch, attendet
        >>> model = attendet.attention.create("cbam", 64)
        >>> show = lambda visit: print([(part.name, tuple(part.value.shape)) for part in visit.parts])
        >>> with capture_attention(model, show):
        ...     _ = model(torch.rand(1, 64, 8, 8))
        [('channel', (1, 64, 1, 1)), ('spatial', (1, 1, 8, 8))]
    """
    chosen = attention_sites(model, pattern)
    watches = [_Watch(path, module, receive) for path, module in chosen.items()]
    with ExitStack() as hooks:
        for watch in watches:
            # Before the watch's own, because a network may itself be an attention module.
            hooks.callback(model.register_forward_pre_hook(watch.begin).remove)
            watch.hang(hooks)
        yield chosen


class _Watch:
    """The hooks of one attention module, and what its parts have given so far in the call that is running."""

    def __init__(self, path: str, module: Attention, receive: Callable[[AttentionPass], None]) -> None:
        self._path, self._module, self._receive = path, module, receive
        self._parts: list[GateOutput] = []
        self._calls = 0

    def begin(self, *_: Any) -> None:
        """Count from zero again: a pass begins."""
        self._calls = 0

    def hang(self, hooks: ExitStack) -> None:
        """Register hooks, and let the stack remove them."""
        hooks.callback(self._module.register_forward_pre_hook(self._enter).remove)
        outer: list[str] = []
        for name, part in self._module.named_modules():
            if isinstance(part, PARTS):
                outermost = not any(name.startswith(f"{other}.") for other in outer)
                if outermost:
                    outer.append(name)
                hook = _PartHook(self._parts, name, outermost)
                hooks.callback(part.register_forward_hook(hook).remove)
        hooks.callback(self._module.register_forward_hook(self._leave, with_kwargs=True).remove)

    def _enter(self, *_: Any) -> None:
        # What a call that failed has left.
        self._parts.clear()

    def _leave(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        before = args[0] if args else kwargs["x"]
        parts = tuple(_of_images(part, before.ndim) for part in self._parts)
        self._parts.clear()
        visit = AttentionPass(self._path, self._module, self._calls, before.detach(), output.detach(), parts)
        self._calls += 1
        self._receive(visit)


@dataclass(frozen=True)
class _PartHook:
    into: list[GateOutput]
    name: str
    outermost: bool

    def __call__(self, module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        span = None
        if isinstance(module, Gate):
            low, high = module.range.tolist()
            span = (low, high)
        self.into.append(GateOutput(self.name, _role(module), output.detach(), self.outermost, span))


def _of_images(part: GateOutput, axes: int) -> GateOutput:
    """Return a part whose value has at least so many axes, the missing ones in front."""
    missing = axes - part.value.ndim
    return replace(part, value=part.value[(None,) * missing]) if missing > 0 else part


def _role(module: nn.Module) -> OutputRole:
    if isinstance(module, Gate):
        return "gate"
    if isinstance(module, AttentionWeights):
        return "weights"
    return "shares" if isinstance(module, SoftmaxWeights) else "addend"
