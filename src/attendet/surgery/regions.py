"""Find the stages, backbone, neck, and head of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import takewhile
from typing import Protocol, runtime_checkable

from torch import nn

from attendet.errors import OptionError
from attendet.surgery.tracing import Trace

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Paths that torchvision and other packages use.
_CONVENTIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "backbone": (("backbone.body",), ("backbone",), ("encoder",)),
    "neck": (("neck",), ("backbone.fpn",), ("fpn",)),
    "head": (("head",), ("classifier",), ("rpn", "roi_heads"), ("bbox_head",), ("decode_head",)),
}


@runtime_checkable
class HasRegions(Protocol):
    """A network that defines its backbone, neck, and head."""

    def regions(self) -> Mapping[str, tuple[str, ...]]:
        """Return the paths of the modules of each region."""
        ...


def region(model: nn.Module, name: str) -> tuple[str, ...]:
    """Return the paths of the modules of a region.

    Args:
        model: Any network.
        name: `backbone`, `neck`, or `head`.

    Raises:
        OptionError: If the network does not define the region and has no module with a common name for it.
    """
    if isinstance(model, HasRegions):
        return model.regions()[name]
    paths = {path for path, _ in model.named_modules()}
    for candidates in _CONVENTIONS[name]:
        if paths.issuperset(candidates):
            return candidates
    if name == "backbone":
        return ("",)
    known = ", ".join(path for candidates in _CONVENTIONS[name] for path in candidates)
    raise OptionError(
        f"{type(model).__name__} has no known {name}, only modules named {known} are recognized",
        remedy="name modules by their paths",
    )


def is_within(path: str, roots: tuple[str, ...]) -> bool:
    """Return whether a module is one of some modules, or inside one of them."""
    return any(not root or path == root or path.startswith(f"{root}.") for root in roots)


def stage_ends(model: nn.Module, run: Trace) -> list[str]:
    """Return the last module of each stage of the backbone.

    A stage consists of the modules between two changes of the stride, with at least two convolutions. A stem with one
    convolution is therefore not a stage.

    Args:
        model: Any network.
        run: The trace of one pass.

    Raises:
        OptionError: If the network has no stages.
    """
    roots = region(model, "backbone")
    last: dict[float, int] = {}
    convolutions: Counter[float] = Counter()
    outputs = _maps_within(run, roots)
    for number, innermost in outputs.items():
        stride = run.stride(run.maps[number].shape)
        if stride < max(last, default=0.0):
            break
        last[stride] = number
        convolutions[stride] += isinstance(model.get_submodule(innermost), CONVOLUTIONS)
    strides = [stride for stride in last if convolutions[stride] > 1]
    deepest = max((run.stride(run.maps[number].shape) for number in outputs), default=0.0)
    if not strides or deepest > strides[-1]:
        raise OptionError(
            f"the stages of {type(model).__name__} cannot be recognized", remedy="name modules by their paths"
        )
    home = _common_parent([outputs[last[stride]] for stride in strides[:-1]]) or (roots[0] if len(roots) == 1 else "")
    # Modules behind the last stage with the same stride, such as the first layer of a neck, have another parent.
    at_last = [
        number
        for number, innermost in outputs.items()
        if run.stride(run.maps[number].shape) == strides[-1] and is_within(innermost, (home,))
    ]
    ends = [*(last[stride] for stride in strides[:-1]), at_last[-1]]
    return [_outermost(run.maps[number].producers, home, roots) for number in ends]


def neck_ends(model: nn.Module, run: Trace) -> list[str]:
    """Return the blocks of the neck, or the modules that return its outputs if it has no blocks.

    Args:
        model: Any network.
        run: The trace of one pass.

    Raises:
        OptionError: If the network has no known neck.
    """
    roots = region(model, "neck")
    blocks = [path for path in roots if run.output(path) and _count_convolutions(model.get_submodule(path)) > 1]
    if blocks:
        return blocks
    numbers = [number for root in roots for call in run.calls.get(root, ()) for number in call.outputs]
    inside = [[path for path in run.maps[number].producers if is_within(path, roots)] for number in numbers]
    return list(dict.fromkeys(paths[-1] for paths in inside if paths))


def head_entries(model: nn.Module, run: Trace) -> list[str]:
    """Return the outermost modules of the head that take one feature map from outside of the head.

    Args:
        model: Any network.
        run: The trace of one pass.

    Raises:
        OptionError: If the network has no known head.
    """
    roots = region(model, "head")
    entries: list[str] = []
    for path, _ in model.named_modules():
        if not is_within(path, roots) or is_within(path, tuple(entries) or ("\0",)):
            continue
        calls = [
            call
            for call in run.calls.get(path, ())
            if call.single_input and max(run.maps[call.inputs[0]].shape[2:]) > 1
        ]
        if calls and all(not _is_produced_within(run, call.inputs[0], roots) for call in calls):
            entries.append(path)
    return entries


def _is_produced_within(run: Trace, number: int, roots: tuple[str, ...]) -> bool:
    return any(is_within(path, roots) for path in run.maps[number].producers)


def _maps_within(run: Trace, roots: tuple[str, ...]) -> dict[int, str]:
    """Return the maps that modules of a region return, each with its innermost module.

    A module that halves the resolution belongs to the next stage, and so do the maps that it computes before it does.
    """
    image = run.image()
    halving = tuple(path for path in run.calls if path and _halves_resolution(run, path))
    entered = {path: run.stride(feature.shape) for path in halving if (feature := run.input(path))}
    found = {}
    for number, feature in enumerate(run.maps):
        paths = [path for path in feature.producers if path and is_within(path, roots)]
        if image is None or not paths or not _is_scaled_image(feature.shape, image.shape):
            continue
        stride = run.stride(feature.shape)
        if not any(entered[path] == stride and is_within(paths[-1], (path,)) for path in halving):
            found[number] = paths[0]
    return found


def _is_scaled_image(shape: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Return whether a map has the batch size and the aspect ratio of the image.

    Windows and attention scores of transformers do not.
    """
    if len(shape) != len(image) or shape[0] != image[0] or max(shape[2:]) == 1:
        return False
    strides = [whole / part for whole, part in zip(image[2:], shape[2:], strict=True)]
    return max(strides) < 1.5 * min(strides)


def _halves_resolution(run: Trace, path: str) -> bool:
    before, after = run.input(path), run.output(path)
    if before is None or after is None or len(before.shape) != len(after.shape):
        return False
    # Without padding the factor is a little more than 2: 35 pixels become 17.
    return 1 < run.stride(after.shape) / run.stride(before.shape) < 3


def _common_parent(paths: list[str]) -> str:
    if len(paths) < 2:
        return ""
    parts = zip(*(path.split(".")[:-1] for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, parts))


def _outermost(producers: list[str], home: str, roots: tuple[str, ...]) -> str:
    """Return the outermost module below `home` that returns the map of the innermost one."""
    prefix = f"{home}." if home else ""
    # Other modules that return the same map, such as an identity, only pass it on.
    around = [path for path in producers if is_within(producers[0], (path,))]
    return [path for path in around if path.startswith(prefix) and path and is_within(path, roots)][-1]


def _count_convolutions(module: nn.Module) -> int:
    return sum(isinstance(child, CONVOLUTIONS) for child in module.modules())
