"""Decide which parameters of a detector are trained: frozen rows, frozen base, and rows that are released later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from torch import nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.models.detector import Detector
from attendet.weights.align.load_report import LoadReport

FrozenRows: TypeAlias = tuple[int, ...] | Literal["base"]


def freeze(detector: Detector, frozen: FrozenRows, report: LoadReport | None) -> list[str]:
    """Disable the gradients of rows, or of everything but attention.

    If the base is frozen and the classes of the head are new, the head is trained nevertheless.

    Args:
        detector: The detector; changed in place.
        frozen: Row numbers, or "base" for everything but attention.
        report: Result of loading weights; None if none were loaded.

    Returns:
        One sentence for each exception that was made.

    Raises:
        OptionError: If a row does not exist, or no parameter is left to train.
    """
    notes = []
    # The weights of a distribution's mean are never trained.
    trained = [parameter for parameter in detector.head.parameters() if parameter.requires_grad]
    for module in frozen_modules(detector, frozen):
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad = False
    if frozen == "base" and _has_new_head(detector, report):
        for parameter in trained:
            parameter.requires_grad = True
        notes.append("the head is trained, too, because its classes are new")
    if not any(parameter.requires_grad for parameter in detector.parameters()):
        remedy = "attach attention: --attention cbam@neck" if frozen == "base" else "freeze fewer rows"
        raise OptionError("all parameters are frozen, so nothing is left to train", remedy=remedy)
    return notes


def _has_new_head(detector: Detector, report: LoadReport | None) -> bool:
    """Return whether parameters of the head, apart from attention inside it, did not completely come from weights."""
    if report is None:
        return True
    own = {parameter for module in base_modules(detector.head) for parameter in module.parameters(recurse=False)}
    changed = {*report.new, *report.reshaped}
    return any(parameter in own and path in changed for path, parameter in detector.named_parameters())


def frozen_modules(detector: Detector, frozen: FrozenRows) -> Iterator[nn.Module]:
    """Yield every frozen module; only its own parameters and statistics are meant, not its children's.

    Raises:
        OptionError: If a row does not exist.
    """
    if frozen == "base":
        yield from base_modules(detector)
        return
    for row in frozen:
        if row >= len(detector.model):
            raise OptionError(f"`freeze` must contain row numbers from 0 to {len(detector.model) - 1}, got {row}")
        yield from detector.model[row].modules()


def base_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Yield every module of a network that is not part of its attention.

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


def is_released(row: int, rows: int, epoch: int, release_epochs: int) -> bool:
    """Return whether a row is trained in an epoch, if rows are released one after another from the last to the first.

    Args:
        row: Number of the row.
        rows: Number of rows.
        epoch: Number of the epoch, from 0.
        release_epochs: Number of epochs until all rows are released; 0 releases all rows from the start.

    Example:
        >>> [[row for row in range(4) if is_released(row, 4, epoch, release_epochs=2)] for epoch in range(3)]
        [[], [2, 3], [0, 1, 2, 3]]
    """
    return not release_epochs or row >= rows - rows * epoch / release_epochs
