"""Resolve placements such as `stage` or `before:SPPF` to modules of a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import nn

from attendet.errors import OptionError, nearest_name
from attendet.surgery.attachment_plan import AttachmentPoint
from attendet.surgery.feature_maps import Trace
from attendet.surgery.hooks import input_point
from attendet.surgery.regions import head_entries, is_within, neck_ends, region
from attendet.surgery.residual import residual_branches
from attendet.surgery.stages import stage_points
from attendet.utils.text import list_names, short_repr

At: TypeAlias = str | type[nn.Module] | Sequence[str | type[nn.Module]]

_REGIONS = ("backbone", "neck", "head")
_MAX_LISTED_PATHS = 12
_WILDCARDS = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
_ESCAPES = str.maketrans({"\\": r"\\", "^": r"\^", "[": r"\["})


def find_points(model: nn.Module, run: Trace, at: At) -> list[AttachmentPoint]:
    """Return the places that a user names, without duplicates, in the order of the network.

    Args:
        model: Any network.
        run: The trace of one pass.
        at: One or several of these: the path of a module, a pattern of paths (see `path_pattern`), the class of a
            module, or a placement: `residual-branch`, `stage`, `stage:1-3`, `backbone`, `neck`, `head`, `before:SPPF`,
            `after:C3`, `inside:C3`, `inside:C3.cv3`, `replace:C3`. A class name may be limited to a region:
            `replace:backbone.C3`. What follows a `~` is left out, with everything inside: `residual-branch~layer4`. An
            item of a list that begins with `~` is left out of all places.

    Raises:
        OptionError: If one of them matches nothing, or leaves out nothing or everything; the remedy lists the names
            that exist.
    """
    items: list[Any] = list(at) if isinstance(at, list | tuple) else [at]
    left_out = [item.removeprefix("~") for item in items if isinstance(item, str) and item.startswith("~")]
    kept = [item for item in items if not isinstance(item, str) or not item.startswith("~")]
    if left_out and not kept:
        raise OptionError("`at` must name a place before `~`", remedy=f"write, for example, stage~{left_out[0]}")
    if not kept or not all(isinstance(item, str | type) for item in kept):
        raise OptionError(
            f"`at` must be a placement, a path, a class, or a list of these, got {short_repr(at)}",
            remedy="use, for example, stage",
        )
    found = [point for item in kept for point in _remaining_points(model, run, item)]
    for text in left_out:
        found = _without(model, run, found, text)
    order = {path: number for number, path in enumerate(run.calls)}
    return sorted(dict.fromkeys(found), key=lambda point: order.get(point.path, -1))


def placement_texts(at: At) -> tuple[str, ...]:
    """Return placements as text; a class becomes `after:` and its name."""
    items = [at] if isinstance(at, str | type) else list(at)
    return tuple(item if isinstance(item, str) else f"after:{item.__name__}" for item in items)


def _remaining_points(model: nn.Module, run: Trace, item: str | type[nn.Module]) -> list[AttachmentPoint]:
    if isinstance(item, type):
        return _points(model, run, item)
    kept, *left_out = item.split("~")
    found = _points(model, run, kept)
    for text in left_out:
        found = _without(model, run, found, text)
    return found


def _without(model: nn.Module, run: Trace, points: list[AttachmentPoint], text: str) -> list[AttachmentPoint]:
    """Return the points that are neither at the modules of another placement nor inside them."""
    if not text:
        raise OptionError("`~` must be followed by a place", remedy="write, for example, stage~layer4")
    excluded = tuple(point.path for point in _points(model, run, text))
    remaining = [point for point in points if not is_within(point.path, excluded)]
    places = list_names([point.path for point in points], _MAX_LISTED_PATHS)
    if not remaining:
        raise OptionError(f"~{text} leaves out every place: {places}", remedy="leave out fewer places")
    if len(remaining) == len(points):
        raise OptionError(f"~{text} leaves out none of {places}", remedy="name one of these places")
    return remaining


def _points(model: nn.Module, run: Trace, item: str | type[nn.Module]) -> list[AttachmentPoint]:
    if isinstance(item, type):
        found = [path for path, module in model.named_modules() if isinstance(module, item) and path in run.calls]
        return _require_some([AttachmentPoint(path) for path in found], model, run, f"the class {item.__name__}")
    name, colon, argument = item.partition(":")
    if item in _PLACEMENTS:
        return _require_some(_PLACEMENTS[item](model, run), model, run, item)
    if colon and name in _CLASS_PLACEMENTS:
        return _CLASS_PLACEMENTS[name](model, run, argument)
    if colon and name == "stage":
        return _stages(model, run, argument)
    modules = dict(model.named_modules())
    if item in modules:
        return [AttachmentPoint(item)]
    return _require_some([AttachmentPoint(path) for path in _matching_paths(run, item)], model, run, item)


def path_pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern of paths.

    `*` matches characters other than a dot. `**` matches any characters. `?` matches one character other than a dot,
    and `[12]` one of the listed characters.

    Example:
        >>> [bool(path_pattern(text).fullmatch("layer1.0.bn2")) for text in ("layer*", "layer?.*.bn2", "**.bn2")]
        [False, True, True]
    """
    parts = re.split(r"(\*\*|\*|\?|\[!?[^\]]+\])", text)
    return re.compile("".join(_expression(part) for part in parts))


def _expression(part: str) -> str:
    if part in _WILDCARDS:
        return _WILDCARDS[part]
    if part.startswith("[") and part.endswith("]"):
        negation = "^" if part[1] == "!" else ""
        return f"[{negation}{part[1:-1].removeprefix('!').translate(_ESCAPES)}]"
    return re.escape(part)


def _matching_paths(run: Trace, text: str) -> list[str]:
    pattern = path_pattern(text)
    return [path for path in run.calls if path and pattern.fullmatch(path) and run.output(path)]


def _outputs(find: Callable[[nn.Module, Trace], Iterable[str]]) -> Callable[[nn.Module, Trace], list[AttachmentPoint]]:
    return lambda model, run: [AttachmentPoint(path) for path in find(model, run)]


def _backbone(model: nn.Module, run: Trace) -> list[AttachmentPoint]:
    region(model, "backbone")
    return stage_points(model, run)


def _head(model: nn.Module, run: Trace) -> list[AttachmentPoint]:
    return [input_point(model, path) for path in head_entries(model, run)]


def _stages(model: nn.Module, run: Trace, argument: str) -> list[AttachmentPoint]:
    ends = stage_points(model, run)
    first, _, last = argument.partition("-")
    bounds = [first, last or first]
    if not all(bound.isdecimal() and 1 <= int(bound) <= len(ends) for bound in bounds) or int(bounds[0]) > int(
        bounds[1]
    ):
        raise OptionError(
            f"`stage` must be followed by stages from 1 to {len(ends)}, got {short_repr(argument)}",
            remedy=f"write it like stage:1-{len(ends)}",
        )
    return ends[int(bounds[0]) - 1 : int(bounds[1])]


def _after(model: nn.Module, run: Trace, argument: str) -> list[AttachmentPoint]:
    return [AttachmentPoint(path) for path in _modules_of_class(model, run, argument)]


def _before(model: nn.Module, run: Trace, argument: str) -> list[AttachmentPoint]:
    return [input_point(model, path) for path in _modules_of_class(model, run, argument)]


def _replace(model: nn.Module, run: Trace, argument: str) -> list[AttachmentPoint]:
    return [AttachmentPoint(path, "replaced") for path in _modules_of_class(model, run, argument)]


def _inside(model: nn.Module, run: Trace, argument: str) -> list[AttachmentPoint]:
    """Return the ends of the residual branches inside modules of a class, or one of their children by name."""
    names = {type(module).__name__ for module in model.modules()}
    parts = argument.split(".")
    # `C3.cv3` is a child of a class, `neck.C3` a class in a region, and `neck.C3.cv3` both.
    class_index = next((number for number, part in enumerate(parts) if part in names), len(parts) - 1)
    owners = _modules_of_class(model, run, ".".join(parts[: class_index + 1]))
    child = ".".join(parts[class_index + 1 :])
    if child:
        paths = [path for owner in owners if (path := f"{owner}.{child}") in run.calls]
        return _require_some(
            [AttachmentPoint(path) for path in paths],
            model,
            run,
            f"a child {short_repr(child)} of {parts[class_index]}",
        )
    points = [AttachmentPoint(path) for path in _branches_inside(model, run, tuple(owners))]
    return _require_some(points, model, run, f"a residual branch inside {argument}")


def _branches_inside(model: nn.Module, run: Trace, owners: tuple[str, ...]) -> list[str]:
    """Return the ends of residual branches. The end of a bottleneck without a shortcut is its output."""
    bottlenecks = [
        path
        for path, module in model.named_modules()
        if type(module).__name__.startswith("Bottleneck") and path not in owners and is_within(path, owners)
    ]
    with_addition = {addition.module for addition in run.additions}
    ends = [
        [producer for producer in feature.producers if producer.startswith(f"{path}.")][-1]
        for path in bottlenecks
        if path not in with_addition and (feature := run.output(path))
    ]
    return [*residual_branches(run, owners), *ends]


def _modules_of_class(model: nn.Module, run: Trace, argument: str) -> list[str]:
    """Return the paths of the modules of a class (`C3`), which may be limited to a region (`backbone.C3`)."""
    name, roots = argument, ("",)
    head, dot, tail = argument.partition(".")
    if dot and head in _REGIONS:
        name, roots = tail, region(model, head)
    found = [
        path
        for path, module in model.named_modules()
        if type(module).__name__ == name and is_within(path, roots) and path in run.calls
    ]
    if found:
        return found
    names = sorted({type(module).__name__ for path, module in model.named_modules() if path and is_within(path, roots)})
    nearest = nearest_name(name, names)
    place = f" in the {head}" if roots != ("",) else ""
    remedy = f"did you mean {nearest!r}?" if nearest else f"the classes are {', '.join(names)}"
    raise OptionError(f"no module of class {short_repr(name)} runs{place}", remedy=remedy)


def _require_some(points: list[AttachmentPoint], model: nn.Module, run: Trace, requested: str) -> list[AttachmentPoint]:
    if not points:
        raise _no_match(model, run, requested)
    return points


def _no_match(model: nn.Module, run: Trace, requested: str) -> OptionError:
    paths = [path for path, calls in run.calls.items() if path and calls[0].single_output]
    classes = sorted({type(model.get_submodule(path)).__name__ for path in paths})
    nearest = nearest_name(
        requested, [name for name in (*paths, *_PLACEMENTS, *_CLASS_PLACEMENTS) if name != requested]
    )
    if requested.rpartition(".")[2] in classes:
        nearest = f"after:{requested.rpartition('.')[2]}"
    across_dots = re.sub(r"\*+", "**", requested)
    if across_dots != requested and _matching_paths(run, across_dots):
        nearest = across_dots
    hint = f"did you mean {nearest!r}? " if nearest else ""
    others = [name for name in _PLACEMENTS if name != requested]
    placements = ", ".join([*others, "stage:1-3", *(f"{name}:CLASS" for name in _CLASS_PLACEMENTS)])
    remedy = (
        f"{hint}placements are {placements}; classes are {', '.join(classes)}; "
        f"paths are {list_names(paths, _MAX_LISTED_PATHS)}"
    )
    reason = ", where * stops at a dot and ** does not" if "*" in requested else ""
    return OptionError(f"{requested} matches nothing in {type(model).__name__}{reason}", remedy=remedy)


_PLACEMENTS: Mapping[str, Callable[[nn.Module, Trace], list[AttachmentPoint]]] = {
    "residual-branch": _outputs(lambda _, run: residual_branches(run)),
    "stage": stage_points,
    "backbone": _backbone,
    "neck": _outputs(neck_ends),
    "head": _head,
}
_CLASS_PLACEMENTS: Mapping[str, Callable[[nn.Module, Trace, str], list[AttachmentPoint]]] = {
    "before": _before,
    "after": _after,
    "inside": _inside,
    "replace": _replace,
}
