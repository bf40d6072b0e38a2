"""Find the residual branches of any network in a trace."""

from __future__ import annotations

from collections import Counter

from attendet.errors import OptionError
from attendet.surgery.regions import is_within
from attendet.surgery.tracing import Addition, Trace

# A shortcut is the input of the block, or a projection of it: at most pooling, convolution, norm, and activation.
_MAX_SHORTCUT_LENGTH = 4


def residual_branches(run: Trace, roots: tuple[str, ...] = ("",)) -> list[str]:
    """Return the paths of the modules at the ends of residual branches, directly before the addition.

    An addition is residual if both of its terms were computed from the same input of the running module. The branch is
    the term with the longer path, the shortcut the other one.

    Args:
        run: The trace of one pass.
        roots: Paths of the modules to search.

    Raises:
        OptionError: If a branch, other than one inside another branch, does not end with a module that attention could
            be attached to.
    """
    ends = [
        (addition, end)
        for addition in run.additions
        if is_within(addition.module, roots) and (end := _branch(run, addition)) is not None
    ]
    uses = Counter(path for _, number in ends for path in run.maps[number].producers)
    found: list[str] = []
    for addition, number in ends:
        path = _last_module(run, addition, number, uses)
        if path is not None:
            found.append(path)
        elif not any(_is_inside(addition.module, other.module) for other, _ in ends):
            raise OptionError(
                f"the residual branch of {addition.module or 'the network'} does not end with a module",
                remedy="name modules by their paths",
            )
    return list(dict.fromkeys(found))


def _is_inside(path: str, other: str) -> bool:
    return path != other and is_within(path, (other,))


def _branch(run: Trace, addition: Addition) -> int | None:
    """Return the term of an addition that is a residual branch, or None if the addition is not residual."""
    left, right = addition.terms
    shared = _common_inputs(run, addition, left, right) | _common_inputs(run, addition, right, left)
    if not shared:
        return None
    origin = max(shared)
    lengths = run.distance(left, origin), run.distance(right, origin)
    if lengths[0] == lengths[1] or min(lengths) > _MAX_SHORTCUT_LENGTH:
        return None
    return left if lengths[0] > lengths[1] else right


def _common_inputs(run: Trace, addition: Addition, branch: int, shortcut: int) -> set[int]:
    """Return the inputs of the block from which both terms were computed."""
    found = run.nearest_ancestors(shortcut, addition.inputs)
    if shortcut in addition.inputs and branch not in addition.inputs:
        # In trees of blocks, a shortcut that is an argument may have been computed from another argument before.
        for parent in run.maps[shortcut].parents:
            found |= run.nearest_ancestors(parent, addition.inputs)
    return found & run.nearest_ancestors(branch, addition.inputs)


def _last_module(run: Trace, addition: Addition, number: int, uses: Counter[str]) -> str | None:
    prefix = f"{addition.module}." if addition.module else ""
    for path in reversed(run.maps[number].producers):
        # Attention at a module that also runs elsewhere, like a shared ReLU, would be applied to more than the branch.
        if path.startswith(prefix) and path != addition.module and len(run.calls[path]) == uses[path]:
            return path
    return None
