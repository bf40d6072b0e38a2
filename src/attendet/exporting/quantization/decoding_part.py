"""The decoding part of a graph: the operations that turn the outputs of the last convolutions into boxes.

Boxes in pixels and scores in 0-1 share tensors there, so that one range of 8-bit values cannot hold both.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

from attendet.errors import OptionError

NodeT = TypeVar("NodeT", bound=Hashable)


def last_convolutions(successors: Mapping[NodeT, Iterable[NodeT]], convolutions: Collection[NodeT]) -> set[NodeT]:
    """Return the convolutions whose outputs do not reach another convolution.

    Args:
        successors: For each node, the nodes that read its outputs; nodes without successors can be left out.
        convolutions: The nodes that are convolutions.

    Raises:
        OptionError: If `convolutions` is empty.

    Example:
        >>> last_convolutions({"stem": ["gate", "product"], "gate": ["product"], "product": ["head"]}, {"stem", "head"})
        {'head'}
    """
    if not convolutions:
        raise OptionError("the network must have a convolution to be quantized, got none")
    predecessors: dict[NodeT, list[NodeT]] = {}
    for node, following in successors.items():
        for successor in following:
            predecessors.setdefault(successor, []).append(node)
    before = _reachable(predecessors, convolutions)
    return {node for node in convolutions if node not in before}


def decoding_nodes(successors: Mapping[NodeT, Iterable[NodeT]], convolutions: Collection[NodeT]) -> set[NodeT]:
    """Return the nodes that depend on the last convolutions, without these.

    Args:
        successors: For each node, the nodes that read its outputs; nodes without successors can be left out.
        convolutions: The nodes that are convolutions.

    Raises:
        OptionError: If `convolutions` is empty.

    Example:
        >>> successors = {"stem": ["head"], "head": ["boxes", "scores"], "boxes": ["output"]}
        >>> sorted(decoding_nodes(successors, convolutions={"stem", "head"}))
        ['boxes', 'output', 'scores']
    """
    return _reachable(successors, last_convolutions(successors, convolutions))


def _reachable(successors: Mapping[NodeT, Iterable[NodeT]], starts: Iterable[NodeT]) -> set[NodeT]:
    """Return the nodes that one or more steps lead to from any of the start nodes."""
    found: set[NodeT] = set()
    pending = [successor for start in starts for successor in successors.get(start, ())]
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += successors.get(node, ())
    return found
