"""From what a user writes for `at` to places in a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from torch import nn

from attendet.errors import OptionError, nearest_name
from attendet.surgery.attachment_plan import Side
from attendet.surgery.hooks import runs_children
from attendet.surgery.regions import head_entries, is_within, neck_ends, region, stage_ends
from attendet.surgery.residual import residual_branches
from attendet.surgery.tracing import Trace
from attendet.utils.text import list_names

At: TypeAlias = str | type[nn.Module] | Sequence[str | type[nn.Module]]

REGIONS = ("backbone", "neck", "head")
SHOWN = 12


@dataclass(frozen=True)
class AttachmentPoint:
    """A side of a module.

    Attributes:
        path: The module's.
        side: Which of its sides.
    """

    path: str
    side: Side = "output"


def find_places(model: nn.Module, trace: Trace, at: At) -> list[AttachmentPoint]:
    """Return the places that are asked for, each once, in the order of the network.

    Args:
        model: Any network.
        trace: Of one pass through it.
        at: One or several of: a module's path, or a pattern of paths with `*` and `?`; a module's class; or a
            placement: `residual-branch`, `stage`, `stage:1-3`, `backbone`, `neck`, `head`, `before:SPPF`, `after:C3`,
            `inside:C3`, `inside:C3.cv3`, `replace:C3`, where a class may stand in a region: `replace:backbone.C3`.

    Raises:
        OptionError: If one of them matches nothing; with what there is.
    """
    items: list[Any] = list(at) if isinstance(at, list | tuple) else [at]
    if not items or not all(isinstance(item, str | type) for item in items):
        raise OptionError(f"at={at!r} names no place", remedy="give a placement such as stage, paths or classes")
    found = [place for item in items for place in _places(model, trace, item)]
    order = {path: number for number, path in enumerate(trace.calls)}
    return sorted(dict.fromkeys(found), key=lambda place: order.get(place.path, -1))


def written(at: At) -> tuple[str, ...]:
    """Return the parts of `at` as text."""
    items = [at] if isinstance(at, str | type) else list(at)
    return tuple(item if isinstance(item, str) else f"after:{item.__name__}" for item in items)


def _places(model: nn.Module, trace: Trace, item: str | type[nn.Module]) -> list[AttachmentPoint]:
    if isinstance(item, type):
        found = [path for path, module in model.named_modules() if isinstance(module, item) and path in trace.calls]
        return _some([AttachmentPoint(path) for path in found], model, trace, f"the class {item.__name__}")
    name, colon, argument = item.partition(":")
    if item in WHOLE:
        return _some(WHOLE[item](model, trace), model, trace, item)
    if colon and name in OF_CLASS:
        return OF_CLASS[name](model, trace, argument)
    if colon and name == "stage":
        return _stages(model, trace, argument)
    modules = dict(model.named_modules())
    if item in modules:
        return [AttachmentPoint(item)]
    paths = [path for path in modules if path and fnmatchcase(path, item) and trace.output(path)]
    return _some([AttachmentPoint(path) for path in paths], model, trace, item)


def _outputs(find: Callable[[nn.Module, Trace], Iterable[str]]) -> Callable[[nn.Module, Trace], list[AttachmentPoint]]:
    return lambda model, trace: [AttachmentPoint(path) for path in find(model, trace)]


def _head(model: nn.Module, trace: Trace) -> list[AttachmentPoint]:
    return [_entry(model, path) for path in head_entries(model, trace)]


def _stages(model: nn.Module, trace: Trace, argument: str) -> list[AttachmentPoint]:
    ends = stage_ends(model, trace)
    first, _, last = argument.partition("-")
    bounds = [first, last or first]
    if not all(bound.isdecimal() and 1 <= int(bound) <= len(ends) for bound in bounds) or int(bounds[0]) > int(
        bounds[1]
    ):
        raise OptionError(
            f"there are no stages {argument!r}", remedy=f"they count from 1 to {len(ends)}: stage:1-{len(ends)}"
        )
    return [AttachmentPoint(path) for path in ends[int(bounds[0]) - 1 : int(bounds[1])]]


def _after(model: nn.Module, trace: Trace, argument: str) -> list[AttachmentPoint]:
    return [AttachmentPoint(path) for path in _of_class(model, trace, argument)]


def _before(model: nn.Module, trace: Trace, argument: str) -> list[AttachmentPoint]:
    return [_entry(model, path) for path in _of_class(model, trace, argument)]


def _replace(model: nn.Module, trace: Trace, argument: str) -> list[AttachmentPoint]:
    return [AttachmentPoint(path, "replaced") for path in _of_class(model, trace, argument)]


def _inside(model: nn.Module, trace: Trace, argument: str) -> list[AttachmentPoint]:
    """Return the ends of the residual branches inside modules of a class, or one of their children by name."""
    names = {type(module).__name__ for module in model.modules()}
    words = argument.split(".")
    # `C3.cv3` is a child of a class, `neck.C3` a class in a region, `neck.C3.cv3` both.
    known = next((number for number, word in enumerate(words) if word in names), len(words) - 1)
    owners, child = _of_class(model, trace, ".".join(words[: known + 1])), ".".join(words[known + 1 :])
    if child:
        paths = [path for owner in owners if (path := f"{owner}.{child}") in trace.calls]
        what = f"a part {child!r} of {words[known]}"
        return _some([AttachmentPoint(path) for path in paths], model, trace, what)
    places = [AttachmentPoint(path) for path in _branches_inside(model, trace, tuple(owners))]
    return _some(places, model, trace, f"a residual branch inside {argument}")


def _branches_inside(model: nn.Module, trace: Trace, owners: tuple[str, ...]) -> list[str]:
    """Return the ends of residual branches; a bottleneck without a shortcut adds nothing and ends with its output."""
    plain = [
        path
        for path, module in model.named_modules()
        if type(module).__name__.startswith("Bottleneck") and path not in owners and is_within(path, owners)
    ]
    added = {addition.inside for addition in trace.additions}
    ends = [
        [giver for giver in feature.givers if giver.startswith(f"{path}.")][-1]
        for path in plain
        if path not in added and (feature := trace.output(path))
    ]
    return [*residual_branches(trace, owners), *ends]


def _of_class(model: nn.Module, trace: Trace, argument: str) -> list[str]:
    name, roots = argument, ("",)
    head, dot, tail = argument.partition(".")
    if dot and head in REGIONS:
        name, roots = tail, region(model, head)
    found = [
        path
        for path, module in model.named_modules()
        if type(module).__name__ == name and is_within(path, roots) and path in trace.calls
    ]
    if found:
        return found
    names = sorted({type(module).__name__ for path, module in model.named_modules() if path and is_within(path, roots)})
    nearest = nearest_name(name, names)
    where = f" in the {head}" if roots != ("",) else ""
    remedy = f"did you mean {nearest!r}?" if nearest else f"there are {', '.join(names)}"
    raise OptionError(f"no module of class {name!r} runs{where}", remedy=remedy)


def _entry(model: nn.Module, path: str) -> AttachmentPoint:
    """Return the place right before a module; a container that only runs its children is entered at the first."""
    module = model.get_submodule(path)
    while runs_children(module) and (first := next(module.named_children(), None)):
        path, module = f"{path}.{first[0]}", first[1]
    return AttachmentPoint(path, "input")


def _some(places: list[AttachmentPoint], model: nn.Module, trace: Trace, what: str) -> list[AttachmentPoint]:
    if not places:
        raise _nothing(model, trace, what)
    return places


def _nothing(model: nn.Module, trace: Trace, what: str) -> OptionError:
    paths = [path for path, calls in trace.calls.items() if path and calls[0].gives_one]
    classes = sorted({type(model.get_submodule(path)).__name__ for path in paths})
    nearest = nearest_name(what, [name for name in (*paths, *WHOLE, *OF_CLASS) if name != what])
    if what.rpartition(".")[2] in classes:
        nearest = f"after:{what.rpartition('.')[2]}"
    hint = f"did you mean {nearest!r}? " if nearest else ""
    remedy = (
        f"{hint}there are the placements {', '.join([*WHOLE, 'stage:1-3', *(f'{name}:CLASS' for name in OF_CLASS)])}; "
        f"the classes {', '.join(classes)}; and the paths {list_names(paths, SHOWN)}"
    )
    return OptionError(f"{what} matches nothing in {type(model).__name__}", remedy=remedy)


WHOLE: Mapping[str, Callable[[nn.Module, Trace], list[AttachmentPoint]]] = {
    "residual-branch": _outputs(lambda _, trace: residual_branches(trace)),
    "stage": _outputs(stage_ends),
    "backbone": _outputs(stage_ends),
    "neck": _outputs(neck_ends),
    "head": _head,
}
OF_CLASS: Mapping[str, Callable[[nn.Module, Trace, str], list[AttachmentPoint]]] = {
    "before": _before,
    "after": _after,
    "inside": _inside,
    "replace": _replace,
}
