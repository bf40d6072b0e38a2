"""Every error and warning a user of attendet can cause: what, where, and what would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A place in a text file; line and column count from 1.

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
    """Base of all our errors; the command line prints it as it stands and exits with 2.

    Args:
        what: What is wrong, in one sentence without a full stop.
        where: The place, for errors about a file.
        remedy: What would have been right, in one sentence without a full stop.

    Example:
        >>> print(AttendetError("the ratio is 0", where=Location("a.yaml", 3, 9), remedy="write 16"))
        a.yaml:3:9: the ratio is 0; write 16
    """

    def __init__(self, what: str, *, where: Location | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own way would call the class with `what` alone and lose the rest on its way between processes.
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(kind: type[AttendetError], what: str, where: Location | None, remedy: str | None) -> AttendetError:
    return kind(what, where=where, remedy=remedy)


class UnknownNameError(AttendetError):
    """A name that nothing is registered under."""


class OptionError(AttendetError):
    """An option or argument whose value cannot work."""


class ModelFileError(AttendetError):
    """A model file that cannot be read or built."""


class DataError(AttendetError):
    """A data set, image or label file that cannot be read or used."""


class WeightsError(AttendetError):
    """A file of weights that cannot be read, or does not fit."""


class TrainingError(AttendetError):
    """A training run that cannot go on."""


class OutputError(AttendetError):
    """A file that cannot be written."""


class AttendetWarning(UserWarning):
    """Something that works and is likely not what was meant."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that does not exist, with the nearest one that does.

    Example:
        >>> print(unknown_name("block", "C33", ["C3", "Conv", "SPPF"]))
        there is no block 'C33'; did you mean 'C3'?
        >>> print(unknown_name("block", "Transformer9000", ["C3", "Conv"]))
        there is no block 'Transformer9000'; there are C3, Conv
    """
    names = sorted(known)
    nearest = nearest_name(str(name), names)
    remedy = f"did you mean {nearest!r}?" if nearest else f"there are {', '.join(names) or 'none'}"
    return UnknownNameError(f"there is no {kind} {name!r}", remedy=remedy)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, or None where none does.

    Example:
        >>> nearest_name("yolov5z", ["yolov5s", "yolov5x_CBAM"])
        'yolov5s'
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower()[:100], by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches else None
