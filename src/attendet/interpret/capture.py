"""Capture of the weights and terms that attention modules apply to features, in any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from torch import Tensor, nn

from attendet.attention.base import AdditiveTerm, Attention, AttentionWeights, Gate, SoftmaxWeights
from attendet.errors import OptionError, WeightsError, unknown_name

OutputRole = Literal["gate", "weights", "softmax", "term"]

PART_CLASSES = (AttentionWeights, SoftmaxWeights, AdditiveTerm)
"""Base classes of the modules inside of an attention module whose outputs are captured."""


@dataclass(frozen=True)
class GateOutput:
    """The output of a part of an attention module, such as a gate.

    Attributes:
        name: Path of the part in the attention module, such as `channel` or `gate.hw`.
        role: What the output does: a `gate` is a sigmoid of a known range that multiplies features; `weights` multiply
            features and have no range; a `softmax` weighs branches or positions; a `term` is added to features.
        value: The tensor that the part returned, detached. Weights that all images share may lack the image axis in the
            module; here, it has length 1.
        outermost: Whether the output is applied to features itself, instead of being an input of another part.
        range: Smallest and largest weight of a gate; None for other roles.
    """

    name: str
    role: OutputRole
    value: Tensor
    outermost: bool
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class AttentionPass:
    """One call of an attention module in a forward pass.

    Attributes:
        path: Path of the module in the network.
        module: The module.
        call: How often the module was called before in the same forward pass; usually 0.
        before: Input features (N, C, H, W).
        after: Output features (N, C, H, W).
        parts: Outputs of the module's parts, in the order in which they ran.
    """

    path: str
    module: Attention
    call: int
    before: Tensor
    after: Tensor
    parts: tuple[GateOutput, ...]

    @property
    def applied_parts(self) -> tuple[GateOutput, ...]:
        """Outputs of the parts that are applied to features themselves."""
        return tuple(part for part in self.parts if part.outermost)


def attention_sites(model: nn.Module, pattern: str = "*") -> dict[str, Attention]:
    """Return the attention modules of a network by their paths; of nested modules, the outermost only.

    Args:
        model: A network with attention, attached or built in.
        pattern: Pattern of the paths, with the wildcards `*` and `?`.

    Raises:
        OptionError: If the network has no attention.
        UnknownNameError: If no path matches the pattern.

    Example:
        >>> import attendet
        >>> list(attention_sites(attendet.build("yolov5n_CBAM")))
        ['model.9']
    """
    sites: dict[str, Attention] = {}
    for path, module in model.named_modules():
        is_nested = any(not outer or path.startswith(f"{outer}.") for outer in sites)
        if isinstance(module, Attention) and not is_nested:
            sites[path] = module
    if not sites:
        remedy = "attach some: attendet.attach(model, …)"
        raise OptionError(f"the network ({type(model).__name__}) has no attention modules", remedy=remedy)
    chosen = {path: module for path, module in sites.items() if fnmatchcase(path, pattern)}
    if not chosen:
        raise unknown_name("attention module", pattern, sites)
    return chosen


@contextmanager
def capture_attention(
    model: nn.Module, receive: Callable[[AttentionPass], None], pattern: str = "*"
) -> Iterator[dict[str, Attention]]:
    """Call `receive` after each call of an attention module, as long as the block runs.

    This function keeps no tensors, so that the memory depends on `receive` alone. `receive` gets the tensors that the
    network computes with: copy them before changing them. Training flags are not changed.

    Args:
        model: A network that is neither compiled nor wrapped (see `attendet.utils.modules.unwrapped`).
        receive: Called in the middle of the forward pass, right after an attention module.
        pattern: Pattern of the paths of the modules, as in `attention_sites`.

    Yields:
        The captured modules by their paths.

    Raises:
        OptionError: If the network has no attention.
        UnknownNameError: If no path matches the pattern.

    Example:
        >>> import torch, attendet
        >>> model = attendet.attention.create("cbam", 64)
        >>> show = lambda call: print([(part.name, tuple(part.value.shape)) for part in call.parts])
        >>> with capture_attention(model, show):
        ...     _ = model(torch.rand(1, 64, 8, 8))
        [('channel', (1, 64, 1, 1)), ('spatial', (1, 1, 8, 8))]
    """
    sites = attention_sites(model, pattern)
    all_hooks = [_SiteHooks(path, module, receive) for path, module in sites.items()]
    with ExitStack() as stack:
        for hooks in all_hooks:
            # Before the hooks of the site, because the network itself may be the attention module.
            stack.callback(model.register_forward_pre_hook(hooks.begin_pass).remove)
            hooks.register(stack)
        yield sites


class _SiteHooks:
    """The hooks of one attention module, and the outputs of its parts in the current call."""

    def __init__(self, path: str, module: Attention, receive: Callable[[AttentionPass], None]) -> None:
        self._path, self._module, self._receive = path, module, receive
        self._parts: list[GateOutput] = []
        self._calls = 0

    def begin_pass(self, *_: Any) -> None:
        """Count calls from 0 again."""
        self._calls = 0

    def register(self, stack: ExitStack) -> None:
        """Register the hooks; the stack removes them."""
        stack.callback(self._module.register_forward_pre_hook(self._before_call).remove)
        outer: list[str] = []
        for name, part in self._module.named_modules():
            if isinstance(part, PART_CLASSES):
                is_outermost = not any(name.startswith(f"{other}.") for other in outer)
                if is_outermost:
                    outer.append(name)
                # The range is read here, because an exporter that records the pass cannot read values.
                hook = _PartHook(self._parts, name, is_outermost, _range_of(part))
                stack.callback(part.register_forward_hook(hook).remove)
        stack.callback(self._module.register_forward_hook(self._after_call, with_kwargs=True).remove)

    def _before_call(self, *_: Any) -> None:
        # A call that raised an exception may have left outputs.
        self._parts.clear()

    def _after_call(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        before = args[0] if args else kwargs["x"]
        parts = tuple(_with_image_axis(part, before.ndim) for part in self._parts)
        self._parts.clear()
        call = AttentionPass(self._path, self._module, self._calls, before.detach(), output.detach(), parts)
        self._calls += 1
        self._receive(call)


@dataclass(frozen=True)
class _PartHook:
    outputs: list[GateOutput]
    name: str
    is_outermost: bool
    limits: tuple[float, float] | None

    def __call__(self, module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        self.outputs.append(GateOutput(self.name, _role(module), output.detach(), self.is_outermost, self.limits))


def _range_of(part: nn.Module) -> tuple[float, float] | None:
    if not isinstance(part, Gate):
        return None
    low, high = part.range.tolist()
    return low, high


def _with_image_axis(part: GateOutput, ndim: int) -> GateOutput:
    """Return an output whose value has at least `ndim` axes; missing axes are added before the others."""
    missing = ndim - part.value.ndim
    return replace(part, value=part.value[(None,) * missing]) if missing > 0 else part


def _role(module: nn.Module) -> OutputRole:
    if isinstance(module, Gate):
        return "gate"
    if isinstance(module, AttentionWeights):
        return "weights"
    return "softmax" if isinstance(module, SoftmaxWeights) else "term"


def require_finite(values: Tensor, name: str) -> None:
    """Raise an error if a tensor has infinite or NaN values.

    Args:
        values: Tensor of any shape.
        name: What the values are, in the plural, for the message.

    Raises:
        WeightsError: If a value is not finite.

    Example:
        >>> import torch
        >>> require_finite(torch.tensor([1.0, torch.nan]), "the outputs of the network")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        attendet.errors.WeightsError: the outputs of the network are not finite; use weights from before training ...
    """
    if not bool(values.isfinite().all()):
        remedy = "use weights from before training diverged, and images with finite values"
        raise WeightsError(f"{name} are not finite", remedy=remedy)


def require_finite_features(call: AttentionPass) -> None:
    """Raise an error if the input or output features of an attention module are not finite.

    Raises:
        WeightsError: If a value is not finite.
    """
    require_finite(call.before, f"the input features of the attention at {call.path}")
    require_finite(call.after, f"the output features of the attention at {call.path}")
