"""Find the backbone, neck, and head of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import nn

from attendet.errors import OptionError
from attendet.surgery.feature_maps import Trace

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Paths that torchvision and other packages use.
_CONVENTIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "backbone": (("backbone.body",), ("backbone",), ("encoder",)),
    "neck": (("neck",), ("backbone.fpn",), ("fpn",)),
    "head": (("head",), ("classifier",), ("rpn", "roi_heads"), ("bbox_head",), ("decode_head",)),
}
_REMEDIES: Mapping[str, str] = {
    "backbone": "write stage for the stages of the whole network, leave out backbone before the class (after:Conv2d), "
    "or name modules by their paths"
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
    known = ", ".join(path for candidates in _CONVENTIONS[name] for path in candidates)
    raise OptionError(
        f"{type(model).__name__} has no known {name}, only modules named {known} are recognized",
        remedy=_REMEDIES.get(name, "name modules by their paths"),
    )


def has_region(model: nn.Module, name: str) -> bool:
    """Return whether a network defines a region, or has a module with a common name for it.

    Args:
        model: Any network.
        name: `backbone`, `neck`, or `head`.
    """
    try:
        region(model, name)
    except OptionError:
        return False
    return True


def is_within(path: str, roots: tuple[str, ...]) -> bool:
    """Return whether a module is one of some modules, or inside one of them."""
    return any(not root or path == root or path.startswith(f"{root}.") for root in roots)


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

    Maps that the head only crops or pools, such as crops of regions of interest, count as maps from outside. A map of
    one pixel counts if the head also takes larger maps; alone it is the pooled output of a classifier.

    Args:
        model: Any network.
        run: The trace of one pass.

    Raises:
        OptionError: If the network has no known head.
    """
    roots = region(model, "head")
    entries: dict[str, int] = {}
    for path, _ in model.named_modules():
        if not is_within(path, roots) or is_within(path, tuple(entries) or ("\0",)):
            continue
        calls = [call for call in run.calls.get(path, ()) if call.single_input]
        maps = [call.inputs[0] for call in calls]
        if maps and not any(_is_computed_within(model, run, number, roots) for number in maps):
            entries[path] = max(max(run.maps[number].shape[2:]) for number in maps)
    largest = max(entries.values(), default=0)
    return list(entries) if largest > 1 else []


def _is_computed_within(model: nn.Module, run: Trace, number: int, roots: tuple[str, ...]) -> bool:
    """Return whether a layer of a region computed a map, or the region pooled it to one pixel."""
    feature = run.maps[number]
    if max(feature.shape[2:]) == 1 and is_within(feature.scope, roots):
        return True
    pending = [number]
    while pending:
        feature = run.maps[pending.pop()]
        if not is_within(feature.scope, roots):
            continue
        if next(model.get_submodule(feature.scope).parameters(recurse=False), None) is not None:
            return True
        pending += feature.parents
    return False


def _count_convolutions(module: nn.Module) -> int:
    return sum(isinstance(child, CONVOLUTIONS) for child in module.modules())
