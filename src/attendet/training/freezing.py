"""Which parts of a network are trained: rows, the base around its attention, and when each is released."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.models.detector import Detector
from attendet.weights.align.load_report import LoadReport

Frozen = tuple[int, ...] | Literal["base"]


def freeze(detector: Detector, frozen: Frozen, report: LoadReport | None) -> list[str]:
    """Switch off the gradients of rows, or of everything but attention, and say what is out of the ordinary.

    Args:
        detector: Changed in place.
        frozen: Row numbers, or `base`.
        report: What weights gave: a head that has new classes is trained in any case.

    Raises:
        OptionError: If there is no such row, or nothing is left to train.
    """
    notes = []
    for module in frozen_modules(detector, frozen):
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad = False
    if frozen == "base" and _has_new_head(detector, report):
        detector.head.requires_grad_(requires_grad=True)
        notes.append("the head is new for these classes and is trained too")
    if not any(parameter.requires_grad for parameter in detector.parameters()):
        remedy = "give --attention cbam@neck" if frozen == "base" else "freeze fewer"
        raise OptionError("everything is frozen, and nothing is left to train", remedy=remedy)
    return notes


def _has_new_head(detector: Detector, report: LoadReport | None) -> bool:
    """Return whether weights had not all of the head; attention that sits in it does not count."""
    if report is None:
        return True
    own = {parameter for module in base_modules(detector.head) for parameter in module.parameters(recurse=False)}
    changed = {*report.new, *report.reshaped}
    return any(parameter in own and path in changed for path, parameter in detector.named_parameters())


def frozen_modules(detector: Detector, frozen: Frozen) -> Iterator[nn.Module]:
    """Yield every module that is frozen, each with only its own parameters and statistics meant.

    Raises:
        OptionError: If there is no such row.
    """
    if frozen == "base":
        yield from base_modules(detector)
        return
    for row in frozen:
        if row >= len(detector.model):
            raise OptionError(f"there is no row {row} to freeze", remedy=f"rows go from 0 to {len(detector.model) - 1}")
        yield from detector.model[row].modules()


def base_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Yield every module of a network that is no part of its attention.

    Example:
        >>> from attendet.attention import CBAM
        >>> [type(module).__name__ for module in base_modules(nn.Sequential(nn.ReLU(), CBAM(64)))]
        ['Sequential', 'ReLU']
    """
    if isinstance(model, Attention):
        return
    yield model
    for child in model.children():
        yield from base_modules(child)


def released(row: int, rows: int, epoch: int, over: int) -> bool:
    """Return whether a row is trained in an epoch, where rows are released from the last to the first.

    Args:
        row: Its number.
        rows: How many there are.
        epoch: From 0.
        over: Epochs until the first row is released too; 0 releases all at once.

    Example:
        >>> [[row for row in range(4) if released(row, 4, epoch, over=2)] for epoch in range(3)]
        [[], [2, 3], [0, 1, 2, 3]]
    """
    return not over or row >= rows - rows * epoch / over
