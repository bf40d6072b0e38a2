"""The residual branches of any network, found in a trace."""

from __future__ import annotations

from collections import Counter

from attendet.errors import OptionError
from attendet.surgery.regions import is_within
from attendet.surgery.tracing import Addition, Trace

LONGEST_SHORTCUT = 4


def residual_branches(trace: Trace, roots: tuple[str, ...] = ("",)) -> list[str]:
    """Return the paths of the modules that end residual branches, right before the addition.

    An addition is residual where both of its maps were computed from one that entered the running block; the branch is
    the one that came the longer way, the other the shortcut, which is the input itself or a projection of it: at most
    a pool, a convolution, a norm and an activation.

    Args:
        trace: Of one pass.
        roots: Paths of the modules to look in.

    Raises:
        OptionError: If a branch that lies in no other does not end in a module that could be attached to.
    """
    ends = [
        (addition, end)
        for addition in trace.additions
        if is_within(addition.inside, roots) and (end := _branch(trace, addition)) is not None
    ]
    uses = Counter(path for _, number in ends for path in trace.maps[number].givers)
    found: list[str] = []
    for addition, number in ends:
        path = _last_module(trace, addition, number, uses)
        if path is not None:
            found.append(path)
        elif not any(_is_inside(addition.inside, other.inside) for other, _ in ends):
            raise OptionError(
                f"the residual branch of {addition.inside or 'the network'} does not end in a module of its own",
                remedy="name modules by their paths instead",
            )
    return list(dict.fromkeys(found))


def _is_inside(path: str, other: str) -> bool:
    return path != other and is_within(path, (other,))


def _branch(trace: Trace, addition: Addition) -> int | None:
    left, right = addition.terms
    shared = _origins(trace, addition, left, right) | _origins(trace, addition, right, left)
    if not shared:
        return None
    origin = max(shared)
    lengths = trace.depth(left, origin), trace.depth(right, origin)
    if lengths[0] == lengths[1] or min(lengths) > LONGEST_SHORTCUT:
        return None
    return left if lengths[0] > lengths[1] else right


def _origins(trace: Trace, addition: Addition, branch: int, shortcut: int) -> set[int]:
    """Return what both terms were computed from, among what entered the block."""
    found = trace.descends(shortcut, addition.entry)
    if shortcut in addition.entry and branch not in addition.entry:
        # A shortcut that is handed in may have been made of another argument before, as in trees of blocks.
        for parent in trace.maps[shortcut].parents:
            found |= trace.descends(parent, addition.entry)
    return found & trace.descends(branch, addition.entry)


def _last_module(trace: Trace, addition: Addition, number: int, uses: Counter[str]) -> str | None:
    prefix = f"{addition.inside}." if addition.inside else ""
    for path in reversed(trace.maps[number].givers):
        # A module that also runs elsewhere, as a shared ReLU does, would weigh more than the branch.
        if path.startswith(prefix) and path != addition.inside and len(trace.calls[path]) == uses[path]:
            return path
    return None
