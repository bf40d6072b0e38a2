"""Find the residual branches of any network in a trace."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from attendet.errors import AttendetWarning, OptionError
from attendet.surgery.feature_maps import Addition, Scope, Trace
from attendet.surgery.regions import is_within
from attendet.utils.text import list_names

# A shortcut is the input of the branch, or a projection of it: at most pooling, convolution, norm, and activation.
_MAX_SHORTCUT_LENGTH = 4
# Functions that scale a map, as layer scale does. Attention is then applied to the map before it is scaled.
_SCALINGS = frozenset({"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply", "div", "div_", "__truediv__"})
# `sum([a, b])` begins with 0 + a.
_ADDITIONS_OF_NUMBERS = frozenset({"add", "__add__", "__radd__"})
# Products of maps, as in self-attention. Position encodings that are added to a product have no shortcut.
_PRODUCTS = frozenset(
    {"matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention"}
)
_LAYERS = frozenset({"conv1d", "conv2d", "conv3d", "linear"})
_MAX_LISTED_PATHS = 4


@dataclass(frozen=True)
class _Sum:
    """A sum of maps with at least one residual branch among its terms.

    Attributes:
        scope: The module in which the maps are added.
        total: Number of the sum.
        origin: Number of the map where the branches and the shortcut begin.
        branches: Numbers of the maps at the ends of the branches.
    """

    scope: Scope
    total: int
    origin: int
    branches: tuple[int, ...]


def residual_branches(run: Trace, roots: tuple[str, ...] = ("",)) -> list[str]:
    """Return the paths of the modules at the ends of residual branches, directly before the addition.

    An addition is residual if its terms were computed from the same map. The shortcut is the term with the shortest
    path from there, the branches are the longer ones. Layer scale between a branch and the addition is ignored.

    Args:
        run: The trace of one pass.
        roots: Paths of the modules to search.

    Raises:
        OptionError: If a branch, other than one inside another branch, does not end with a module that attention could
            be attached to.

    Warns:
        AttendetWarning: If a branch with layers inside another branch does not.
    """
    sums = [found for found in _residual_sums(run) if is_within(found.scope.path, roots)]
    uses = Counter(
        path for found in sums for number in found.branches for path in run.maps[_unscaled(run, number)].producers
    )
    ends: list[str] = []
    skipped: list[str] = []
    for found in sums:
        for number in found.branches:
            path = _last_module(run, found.scope.path, number, uses)
            if path is not None:
                ends.append(path)
            elif not any(_is_inside(run, found, other) for other in sums):
                raise OptionError(
                    f"the residual branch of {found.scope.path or 'the network'} does not end with a module",
                    remedy="name modules by their paths",
                )
            elif _has_layers(run, found.origin, number):
                skipped.append(found.scope.path or "the network")
    if skipped:
        warnings.warn(
            "residual branches inside others, which do not end with a module, get no attention: in "
            f"{list_names(list(dict.fromkeys(skipped)), _MAX_LISTED_PATHS)}",
            AttendetWarning,
            stacklevel=2,
        )
    return list(dict.fromkeys(ends))


def _residual_sums(run: Trace) -> Iterator[_Sum]:
    by_total = {addition.total: addition for addition in run.additions}
    partial = {term for addition in run.additions for term in addition.terms if _is_partial(run, by_total, term)}
    for addition in run.additions:
        if addition.total in partial:
            continue
        terms = tuple(_terms(run, by_total, addition))
        scope = _scope(addition, terms)
        origin = run.latest_common_ancestor(terms)
        if origin is None or not _belong_together(run, scope, origin, terms):
            continue
        lengths = {term: run.distance(term, origin) for term in terms}
        shortcut = min(lengths.values())
        branches = tuple(term for term in terms if lengths[term] > shortcut)
        shortcuts = [term for term in terms if lengths[term] == shortcut]
        if branches and shortcut <= _MAX_SHORTCUT_LENGTH and not any(_mixes(run, origin, term) for term in shortcuts):
            yield _Sum(scope, addition.total, origin, branches)


def _mixes(run: Trace, origin: int, term: int) -> bool:
    """Return whether a map was computed from another one by a product of maps."""
    between = (run.maps[number] for number in run.ancestors(term) if number > origin)
    return any(
        feature.function in _PRODUCTS and sum(not run.maps[parent].constant for parent in feature.parents) > 1
        for feature in between
    )


def _terms(run: Trace, by_total: dict[int, Addition], addition: Addition) -> Iterator[int]:
    """Yield the terms of a sum; `x + a(x) + b(x)` has three terms and two additions."""
    for term in addition.terms:
        if _is_partial(run, by_total, term) and term != addition.total:
            yield from _terms(run, by_total, by_total[term])
        else:
            yield term


def _is_partial(run: Trace, by_total: dict[int, Addition], number: int) -> bool:
    """Return whether a map is a sum that is used only as a term of another sum and not returned by a module."""
    return number in by_total and len(run.maps[number].readers) == 1 and not run.maps[number].producers


def _scope(addition: Addition, terms: tuple[int, ...]) -> Scope:
    """Return the module in which the terms come together.

    For a module that only adds its arguments, such as `Add` in `self.add(x, self.branch(x))`, it is the calling module.
    """
    inner = [scope for scope in addition.scopes if not set(terms) <= set(scope.inputs)]
    return inner[0] if inner else addition.scopes[-1]


def _belong_together(run: Trace, scope: Scope, origin: int, terms: tuple[int, ...]) -> bool:
    """Return whether terms are the shortcut and the branches of one block, and not levels of a feature pyramid."""
    if not set.intersection(*(_nearest_inputs(run, scope, term) for term in terms)):
        return False
    # Otherwise the block is a part of the forward method of a larger module, which could merge a pyramid as well.
    return origin in scope.inputs or all(_keeps_resolution(run, term, origin) for term in terms)


def _nearest_inputs(run: Trace, scope: Scope, term: int) -> set[int]:
    """Return the arguments of a module from which a term was computed."""
    found = run.nearest_ancestors(term, scope.inputs)
    if term in scope.inputs:
        # In trees of blocks, a shortcut that is an argument may have been computed from another argument before.
        for parent in run.maps[term].parents:
            found |= run.nearest_ancestors(parent, scope.inputs)
    return found


def _keeps_resolution(run: Trace, number: int, origin: int) -> bool:
    """Return whether a map was computed from another one on a path that stays between their resolutions.

    Levels of a pyramid are merged with maps that were at another resolution before. Sequences have no resolution.
    """
    image = run.image()
    if image is None or len(run.maps[number].shape) != len(image.shape):
        return True
    sides = [run.maps[end].shape[2:] for end in (origin, number)]
    reached = {origin}
    for current in range(origin + 1, number + 1):
        feature = run.maps[current]
        if reached.intersection(feature.parents) and _is_between(feature.shape[2:], *sides):
            reached.add(current)
    return number in reached


def _is_between(side: tuple[int, ...], first: tuple[int, ...], last: tuple[int, ...]) -> bool:
    """Return whether the size of a map is between those at both ends; windows and sequences of pixels always count."""
    if len(side) != len(last):
        return True
    scales = [part / whole for part, whole in zip(side, last, strict=True)]
    if max(scales) > 1.5 * min(scales):
        return True
    return min(first[0], last[0]) <= side[0] <= max(first[0], last[0])


def _last_module(run: Trace, scope: str, number: int, uses: Counter[str]) -> str | None:
    prefix = f"{scope}." if scope else ""
    producers = [path for path in run.maps[_unscaled(run, number)].producers if path and path.startswith(prefix)]
    # Attention at a module that also runs elsewhere, like a shared ReLU, would be applied to more than the branch. A
    # module that ends several branches is the last resort, because they would have to share one attention module.
    own = [path for path in producers if len(run.calls[path]) == 1]
    shared = [path for path in producers if len(run.calls[path]) == uses[path]]
    return next(reversed(own or shared), None)


def _unscaled(run: Trace, number: int) -> int:
    """Return the map that a branch multiplies by numbers or parameters, as in layer scale, before it is added."""
    while True:
        feature = run.maps[number]
        parents = [parent for parent in feature.parents if not run.maps[parent].constant]
        is_scaled = feature.function in _SCALINGS or (
            feature.function in _ADDITIONS_OF_NUMBERS and len(feature.parents) == 1
        )
        if feature.producers or not is_scaled or len(parents) != 1:
            return number
        source = run.maps[parents[0]]
        if source.shape != feature.shape or len(source.readers) > 1:
            return number
        number = parents[0]


def _is_inside(run: Trace, inner: _Sum, outer: _Sum) -> bool:
    """Return whether a sum was computed in a branch of another one."""
    return outer.origin < inner.total and any(
        inner.total < branch
        and bool(run.nearest_ancestors(branch, [inner.total]))
        and bool(run.nearest_ancestors(inner.total, [outer.origin]))
        for branch in outer.branches
    )


def _has_layers(run: Trace, origin: int, end: int) -> bool:
    """Return whether a branch has a layer with weights."""
    return any(
        run.maps[number].function in _LAYERS and bool(run.nearest_ancestors(number, [origin]))
        for number in run.ancestors(end)
        if number > origin
    )
