"""Errors and warnings of attendet, each with a message, a place, and a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A place in a text file.

    Attributes:
        file: Path or name of the file.
        line: Line, from 1; None for the whole file.
        column: Column, from 1; None for the whole line.

    Example:
        >>> str(Location("yolov5s.yaml", line=14, column=5))
        'yolov5s.yaml:14:5'
    """

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class AttendetError(Exception):
    """Base class of all errors that a user can cause.

    The command line prints the error on one line and exits with 2.

    Args:
        message: The problem, in one sentence that starts in lower case and has no period.
        where: The place in a file, if the error is about a file.
        remedy: How to fix the problem, in the same form.

    Example:
        >>> print(AttendetError("`ratio` must be positive, got 0", where=Location("a.yaml", 3, 9), remedy="write 16"))
        a.yaml:3:9: `ratio` must be positive, got 0; write 16
    """

    def __init__(self, message: str, *, where: Location | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.message}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own method would drop `where` and `remedy` when the error is pickled to another process.
        return (_rebuild, (type(self), self.message, self.where, self.remedy))


def _rebuild(
    error_class: type[AttendetError], message: str, where: Location | None, remedy: str | None
) -> AttendetError:
    return error_class(message, where=where, remedy=remedy)


class UnknownNameError(AttendetError):
    """A name that is not registered."""


class OptionError(AttendetError):
    """An option or argument with an invalid value."""


class ModelFileError(AttendetError):
    """A model file that cannot be read or built."""


class DataError(AttendetError):
    """A data set, image, label file, or record that cannot be read or used."""


class WeightsError(AttendetError):
    """A weights file that cannot be read or does not fit the network."""


class TrainingError(AttendetError):
    """A training run that cannot continue."""


class OutputError(AttendetError):
    """A file or folder that cannot be written."""


class AttendetWarning(UserWarning):
    """A warning about input that works but probably does something else than intended."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown name; it suggests the most similar known name, or else lists all.

    Args:
        kind: The kind of thing that the name should name, such as `"block"`.
        name: The unknown name.
        known: All known names.

    Example:
        >>> print(unknown_name("block", "C33", ["C3", "Conv", "SPPF"]))
        unknown block 'C33'; did you mean 'C3'?
        >>> print(unknown_name("block", "Transformer9000", ["C3", "Conv"]))
        unknown block 'Transformer9000'; known are C3, Conv
    """
    names = sorted(known)
    nearest = nearest_name(str(name), names)
    remedy = f"did you mean {nearest!r}?" if nearest else f"known are {', '.join(names)}" if names else None
    return UnknownNameError(f"unknown {kind} {name!r}", remedy=remedy)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to `name`, or None if no name is similar.

    Args:
        name: A name, perhaps misspelled; upper and lower case do not matter.
        known: All known names.

    Example:
        >>> nearest_name("yolov5z", ["yolov5s", "yolov5x_CBAM"])
        'yolov5s'
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    # The time of the comparison grows with the square of the length.
    matches = difflib.get_close_matches(name.lower()[:100], by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches else None
