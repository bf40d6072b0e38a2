"""Errors and warnings of attendet, each with a message, a place, and a remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_MAX_LENGTH = 2000
_MAX_PLACE_LENGTH = 4200
_MAX_NAME_LENGTH = 60


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

    The command line prints the error on one line and exits with 2. Message and remedy are shortened to 2,000 characters
    each, because they can contain text of a file.

    Args:
        message: The problem, in one sentence that starts in lower case and has no period.
        where: The place in a file, if the error is about a file.
        remedy: How to fix the problem, in the same form.

    Example:
        >>> print(AttendetError("`ratio` must be positive, got 0", where=Location("a.yaml", 3, 9), remedy="write 16"))
        a.yaml:3:9: `ratio` must be positive, got 0; write 16
    """

    def __init__(self, message: str, *, where: Location | None = None, remedy: str | None = None) -> None:
        self.message = _shortened(message)
        super().__init__(self.message)
        self.where = where
        self.remedy = None if remedy is None else _shortened(remedy)

    def __str__(self) -> str:
        # A list of files can name a "path" of any length; systems allow at most 4,096 bytes.
        place = f"{_shortened(str(self.where), _MAX_PLACE_LENGTH)}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.message}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own method would drop `where` and `remedy` when the error is pickled to another process.
        return (_rebuild, (type(self), self.message, self.where, self.remedy))


def _shortened(text: str, length: int = _MAX_LENGTH) -> str:
    """Return a text of at most `length` characters; the middle of a longer text is left out."""
    half = (length - 3) // 2
    return text if len(text) <= length else f"{text[:half]} … {text[-half:]}"


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


class DivergenceError(TrainingError):
    """A training run has diverged: its loss or weights are infinite or NaN, because of its settings."""


class OutputError(AttendetError):
    """A file or folder that cannot be written."""


class AttendetWarning(UserWarning):
    """A warning about input that works but probably does something else than intended."""


def unknown_name(
    kind: str, name: object, known: Iterable[str], nearest: Callable[[str, Iterable[str]], str | None] | None = None
) -> UnknownNameError:
    """Return the error for an unknown name; it suggests the most similar known name, or else lists all.

    Args:
        kind: The kind of thing that the name should name, such as `"block"`.
        name: The unknown name.
        known: All known names.
        nearest: Returns the name to suggest (default: `nearest_name`). For names of modules and models:
            `misspelled_name`.

    Example:
        >>> print(unknown_name("block", "C33", ["C3", "Conv", "SPPF"]))
        unknown block 'C33'; did you mean 'C3'?
        >>> print(unknown_name("block", "Transformer9000", ["C3", "Conv"]))
        unknown block 'Transformer9000'; known are C3, Conv
    """
    names = sorted(known)
    suggestion = (nearest or nearest_name)(str(name), names)
    remedy = f"did you mean {suggestion!r}?" if suggestion else f"known are {', '.join(names)}" if names else None
    return UnknownNameError(f"unknown {kind} {_shortened(repr(name), _MAX_NAME_LENGTH)}", remedy=remedy)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to `name`, or None if no name is similar.

    For names of modules and models use `misspelled_name`: C3SE is similar to scse, but another network.

    Args:
        name: A name, perhaps misspelled; upper and lower case do not matter.
        known: All known names.

    Example:
        >>> nearest_name("batchsize", ["batch-size", "base"])
        'batch-size'
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    # The time of the comparison grows with the square of the length.
    matches = difflib.get_close_matches(name.lower()[:100], by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches else None


def misspelled_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name from which `name` differs by typing errors, or None if there is not exactly one.

    Typing errors are another case, other separators, and one letter (two in names of at least 8 letters) that is
    missing, superfluous, wrong, or exchanged with the next one. A letter at the start of a word, a capital letter, or a
    digit is not a typing error unless it is doubled, because it usually names another module: `IDetect`, `C3x`.

    Args:
        name: The name of a module or a model.
        known: All known names.

    Example:
        >>> misspelled_name("Bottelneck", ["Bottleneck", "BottleneckCSP"])
        'Bottleneck'
        >>> misspelled_name("C3SE", ["scSE", "C3", "SE"]), misspelled_name("yolov8s", ["yolov5s"])
        (None, None)
    """
    written = _without_separators(name)
    by_letters = {_without_separators(candidate): candidate for candidate in known}
    same = {meant for meant in by_letters if meant.lower() == written.lower()}
    close = same or {meant for meant in by_letters if _is_misspelled(written, meant, 1 if len(meant) < 8 else 2)}
    return by_letters[close.pop()] if len(close) == 1 else None


def _without_separators(name: str) -> str:
    return "".join(letter for letter in name if letter not in "-_. ")


def _is_misspelled(written: str, meant: str, errors: int) -> bool:
    """Return whether at most this number of typing errors lead from one name to the other."""
    if abs(len(written) - len(meant)) > errors:
        return False
    ends = (len(written), len(meant))
    place = next((i for i in range(min(ends)) if written[i].lower() != meant[i].lower()), min(ends))
    if ends == (place, place):
        return True
    pairs = [
        (place + extra, place + missing)
        for extra, missing, possible in (
            (1, 0, _is_superfluous(written, place, len(meant))),
            (0, 1, _is_superfluous(meant, place, len(written))),
            (1, 1, _is_wrong(written, meant, place)),
            (2, 2, len(meant) > 2 and written[place : place + 2].lower() == meant[place : place + 2][::-1].lower()),
        )
        if possible
    ]
    head = meant[:place]
    return errors > 0 and any(
        _is_misspelled(head + written[after:], head + meant[rest:], errors - 1) for after, rest in pairs
    )


def _is_superfluous(text: str, place: int, other_length: int) -> bool:
    """Return whether the letter at a place of the longer text is a typing error in one of two texts."""
    letter = text[place : place + 1]
    if letter.lower() == text[max(place - 1, 0) : place].lower():
        return letter.islower() or letter.isdigit() or other_length >= 3
    return other_length >= 4 and _is_inside_word(text, place)


def _is_wrong(written: str, meant: str, place: int) -> bool:
    """Return whether the letter at a place is a typing error: inside a word, or the wrong letter of two is doubled."""
    is_inside = _is_inside_word(written, place) and _is_inside_word(meant, place)
    return is_inside or (_is_doubled(written, place) and _is_doubled(meant, place))


def _is_doubled(text: str, place: int) -> bool:
    letter = text[place : place + 1].lower()
    return letter != "" and letter in (text[max(place - 1, 0) : place].lower(), text[place + 1 : place + 2].lower())


def _is_inside_word(text: str, place: int) -> bool:
    """Return whether a small letter is at a place, with a letter before it, in a run of at least four letters."""
    run = next((found for found in re.finditer("[A-Za-z]+", text) if found.start() < place < found.end()), None)
    return run is not None and text[place].islower() and run.end() - run.start() >= 4
