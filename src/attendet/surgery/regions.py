"""Stages, backbone, neck and head of any network, as far as it shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import takewhile
from typing import Protocol, runtime_checkable

from torch import nn

from attendet.errors import OptionError
from attendet.surgery.tracing import Trace

# Where torchvision and other packages keep them.
CONVENTIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "backbone": (("backbone.body",), ("backbone",), ("encoder",)),
    "neck": (("neck",), ("backbone.fpn",), ("fpn",)),
    "head": (("head",), ("classifier",), ("rpn", "roi_heads"), ("bbox_head",), ("decode_head",)),
}
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@runtime_checkable
class HasRegions(Protocol):
    """A network that says itself what its backbone, neck and head are."""

    def regions(self) -> Mapping[str, tuple[str, ...]]:
        """Return the paths of the modules of each region."""
        ...


def region(model: nn.Module, name: str) -> tuple[str, ...]:
    """Return the paths of the modules that make a region.

    Raises:
        OptionError: If the network does not show one.
    """
    if isinstance(model, HasRegions):
        return model.regions()[name]
    paths = {path for path, _ in model.named_modules()}
    for candidates in CONVENTIONS[name]:
        if paths.issuperset(candidates):
            return candidates
    if name == "backbone":
        return ("",)
    looked = ", ".join(path for candidates in CONVENTIONS[name] for path in candidates)
    raise OptionError(f"{type(model).__name__} shows no {name}", remedy=f"looked for {looked}; give paths instead")


def is_within(path: str, paths: tuple[str, ...]) -> bool:
    """Return whether a module is one of some modules, or inside one."""
    return any(not root or path == root or path.startswith(f"{root}.") for root in paths)


def stage_ends(model: nn.Module, trace: Trace) -> list[str]:
    """Return the last module of each stage of the backbone.

    A stage is what lies between two changes of the stride, and has two convolutions at least: a stem with one is none.

    Raises:
        OptionError: If there is no stage.
    """
    roots = region(model, "backbone")
    last: dict[float, int] = {}
    convolutions: Counter[float] = Counter()
    given = _maps_within(trace, roots)
    for number, innermost in given.items():
        stride = trace.stride(trace.maps[number].shape)
        if stride < max(last, default=0.0):
            break
        last[stride] = number
        convolutions[stride] += isinstance(model.get_submodule(innermost), CONVOLUTIONS)
    strides = [stride for stride in last if convolutions[stride] > 1]
    deepest = max((trace.stride(trace.maps[number].shape) for number in given), default=0.0)
    if not strides or deepest > strides[-1]:
        raise OptionError(
            f"the stages of {type(model).__name__} cannot be told", remedy="name modules by their paths instead"
        )
    home = _common_parent([given[last[stride]] for stride in strides[:-1]]) or (roots[0] if len(roots) == 1 else "")
    # What follows the last stage at its own stride, as a neck's first layer may, does not lie where the stages lie.
    at_last = [
        number
        for number, innermost in given.items()
        if trace.stride(trace.maps[number].shape) == strides[-1] and is_within(innermost, (home,))
    ]
    ends = [*(last[stride] for stride in strides[:-1]), at_last[-1]]
    return [_outermost(trace.maps[number].givers, home, roots) for number in ends]


def neck_ends(model: nn.Module, trace: Trace) -> list[str]:
    """Return the modules of the neck whose maps are worth weighing: its blocks, or else what it gives.

    Raises:
        OptionError: If the network shows no neck.
    """
    roots = region(model, "neck")
    blocks = [path for path in roots if trace.output(path) and _convolutions(model.get_submodule(path)) > 1]
    if blocks:
        return blocks
    numbers = [number for root in roots for call in trace.calls.get(root, ()) for number in call.outputs]
    inside = [[path for path in trace.maps[number].givers if is_within(path, roots)] for number in numbers]
    return list(dict.fromkeys(paths[-1] for paths in inside if paths))


def head_entries(model: nn.Module, trace: Trace) -> list[str]:
    """Return the outermost modules of the head that take one map from outside it.

    Raises:
        OptionError: If the network shows no head.
    """
    roots = region(model, "head")
    entries: list[str] = []
    for path, _ in model.named_modules():
        if not is_within(path, roots) or is_within(path, tuple(entries) or ("\0",)):
            continue
        calls = [
            call
            for call in trace.calls.get(path, ())
            if call.takes_one and max(trace.maps[call.inputs[0]].shape[2:]) > 1
        ]
        if calls and all(not _given_within(trace, call.inputs[0], roots) for call in calls):
            entries.append(path)
    return entries


def _given_within(trace: Trace, number: int, roots: tuple[str, ...]) -> bool:
    return any(is_within(path, roots) for path in trace.maps[number].givers)


def _maps_within(trace: Trace, roots: tuple[str, ...]) -> dict[int, str]:
    """Return the maps that modules of a region give, with the innermost module of each.

    A module that halves the resolution belongs to what comes after it: what it still computes before is no end.
    """
    image = trace.image()
    halving = tuple(path for path in trace.calls if path and _halves(trace, path))
    entered = {path: trace.stride(feature.shape) for path in halving if (feature := trace.input(path))}
    found = {}
    for number, feature in enumerate(trace.maps):
        paths = [path for path in feature.givers if path and is_within(path, roots)]
        if image is None or not paths or not _is_scaled(feature.shape, image.shape):
            continue
        stride = trace.stride(feature.shape)
        if not any(entered[path] == stride and is_within(paths[-1], (path,)) for path in halving):
            found[number] = paths[0]
    return found


def _is_scaled(shape: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Return whether a map is the image made smaller: windows and scores of a transformer's attention are not."""
    if len(shape) != len(image) or shape[0] != image[0] or max(shape[2:]) == 1:
        return False
    strides = [whole / part for whole, part in zip(image[2:], shape[2:], strict=True)]
    return max(strides) < 1.5 * min(strides)


def _halves(trace: Trace, path: str) -> bool:
    into, out = trace.input(path), trace.output(path)
    if into is None or out is None or len(into.shape) != len(out.shape):
        return False
    # Without padding it is a little more than by 2: 35 pixels become 17.
    return 1 < trace.stride(out.shape) / trace.stride(into.shape) < 3


def _common_parent(paths: list[str]) -> str:
    if len(paths) < 2:
        return ""
    parts = zip(*(path.split(".")[:-1] for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, parts))


def _outermost(givers: list[str], home: str, roots: tuple[str, ...]) -> str:
    prefix = f"{home}." if home else ""
    # The innermost and what holds it: others that give the same map, as an identity does, only hand it on.
    around = [path for path in givers if is_within(givers[0], (path,))]
    return [path for path in around if path.startswith(prefix) and path and is_within(path, roots)][-1]


def _convolutions(module: nn.Module) -> int:
    return sum(isinstance(child, CONVOLUTIONS) for child in module.modules())
