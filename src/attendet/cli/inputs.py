"""Checks of the files that a user names, made before torch is imported."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attendet.errors import AttendetError, DataError, Location, OptionError, WeightsError
from attendet.utils.io import refuse_existing
from attendet.utils.limits import MAX_LINE_LENGTH

_MIN_SIDE = 32
_SOURCES = "name images, videos, folders, addresses of streams, or a camera's number"


def weights_and_sources(
    argument: str | None, option: str | None, sources: Sequence[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """Return the weights of a verb, given as its first argument or with `--weights`, and its other arguments.

    Args:
        argument: The first argument.
        option: The value of `--weights`; the first argument is then a source.
        sources: The arguments after the first.

    Raises:
        OptionError: If no weights are named.
        WeightsError: If the file or folder does not exist.

    Example:
        >>> weights_and_sources("a.jpg", str(Path.home()), ["b.jpg"])[1]
        ('a.jpg', 'b.jpg')
    """
    weights, others = (argument, tuple(sources)) if option is None else (option, _together(argument, sources))
    if weights is None:
        raise OptionError("no weights are given", remedy="name the folder of a run or a weights file")
    require_weights(weights)
    return weights, others


def one_model(argument: str | None, option: str | None) -> str:
    """Return the network of a verb, given as its argument or with `--weights`.

    Args:
        argument: The argument.
        option: The value of `--weights`.

    Raises:
        OptionError: If both or none are given.

    Example:
        >>> one_model("yolov5n", None)
        'yolov5n'
    """
    given = [each for each in (argument, option) if each is not None]
    if len(given) != 1:
        found = "none" if not given else " and ".join(given)
        remedy = "name a run's folder, a weights file, or a model"
        raise OptionError(f"exactly one network must be named, got {found}", remedy=remedy)
    return given[0]


def require_weights(path: str) -> None:
    """Raise an error if a weights file or the folder of a run does not exist.

    Raises:
        WeightsError: If it does not exist.
    """
    if not os.path.lexists(path):
        raise WeightsError("weights file not found", where=Location(path))


def require_like(like: str | None) -> None:
    """Raise an error if `--like` is neither a number nor an existing file or folder.

    Raises:
        OptionError: If it is neither.
    """
    from attendet.models.printed_table import is_total

    if like is not None and not is_total(like) and not os.path.lexists(like):
        raise OptionError(
            f"`--like` must be an existing file or the total number of parameters, got {like!r}",
            remedy="save what the fork printed in a text file",
        )


def require_data(path: str) -> None:
    """Raise an error if a data set does not exist.

    Raises:
        DataError: If it does not exist.
    """
    from attendet.data.paths import locate

    if locate(path) is None:
        raise DataError("data set not found", where=Location(path), remedy="name a data.yaml, a COCO json, or a folder")


def count_sources(sources: Sequence[str], skip: Callable[[AttendetError], None]) -> int | None:
    """Return the number of images and videos that sources name, or None if it is unknown before they are read.

    Args:
        sources: Images, videos, folders, patterns, lists, streams, cameras, or standard input.
        skip: Called with the error of each source that does not exist, if there is nothing to read at all.

    Raises:
        OptionError: If there is no source.
        DataError: If no source exists.
    """
    from attendet.prediction.sources import expand_sources

    if not sources:
        raise OptionError("no source is given", remedy=_SOURCES)
    if "-" in sources:
        return None
    errors: list[AttendetError] = []
    are_watched = [source.is_watched for source in expand_sources(sources, errors.append)]
    if not are_watched:
        for error in errors:
            skip(error)
        raise nothing_to_read()
    return None if any(are_watched) else len(are_watched)


def nothing_to_read() -> DataError:
    """Return the error for sources that cannot be read at all."""
    return DataError("no input could be read", remedy=_SOURCES)


def lines_of_standard_input() -> Iterator[str]:
    """Yield the lines of standard input as they arrive; names of files are bytes, and need not be UTF-8."""
    for line in iter(lambda: sys.stdin.buffer.readline(MAX_LINE_LENGTH), b""):
        yield line.decode("utf-8", "surrogateescape")


def split_names(texts: Sequence[str]) -> list[str]:
    """Return the names in a list of comma-separated names.

    Example:
        >>> split_names(["cat,3", "dog"])
        ['cat', '3', 'dog']
    """
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def parse_image_size(text: str | None) -> int | tuple[int, int] | None:
    """Return the value of `--imgsz`: one number of pixels, or height and width.

    Raises:
        OptionError: If it is neither.

    Example:
        >>> parse_image_size("640"), parse_image_size("384,640"), parse_image_size(None)
        (640, (384, 640), None)
    """
    if text is None:
        return None
    sides = [part.strip() for part in text.replace("x", ",").split(",")]
    if not all(side.isascii() and side.isdigit() for side in sides) or len(sides) not in (1, 2):
        rule = "`--imgsz` must be a number of pixels, or height and width as in 384,640"
        raise OptionError(f"{rule}, got {text!r}")
    numbers = [int(side) for side in sides]
    if min(numbers) < _MIN_SIDE:
        raise OptionError(f"`--imgsz` must be at least {_MIN_SIDE} pixels, got {text}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def require_same_names(names: Sequence[str], data: str) -> None:
    """Raise an error if the classes of a data set differ from the classes of the weights.

    Args:
        names: Class names of the weights; the single class `object` stands for training with `--single-cls`.
        data: The data set.

    Raises:
        OptionError: If they differ; the message names the first class that differs.
    """
    from attendet.data.reading import data_source

    source = data_source.open(data)
    if tuple(names) == ("object",):
        return
    for index, (expected, found) in enumerate(itertools.zip_longest(names, source.names, fillvalue="missing")):
        if expected != found:
            raise OptionError(
                f"class {index} of {source.file} must be {expected!r}, as in the weights, got {found!r}",
                remedy="leave --data out: the class names in the weights are used",
            )


def require_model(model: str) -> None:
    """Raise an error if a model is neither a file nor a bundled model.

    Raises:
        ModelFileError: If there is no such model.
    """
    from attendet.models.yaml.lookup import load_model_file

    if not os.path.lexists(model):
        load_model_file(model)


def require_file(path: Path, remedy: str) -> None:
    """Raise an error if a file does not exist.

    Args:
        path: The file.
        remedy: How to get such a file.

    Raises:
        DataError: If it does not exist.
    """
    if not os.path.lexists(path):
        raise DataError("file not found", where=Location(str(path)), remedy=remedy)


def run_location(
    out: Path | None, project: Path | None, name: str | None, default: Path, *, exist_ok: bool
) -> tuple[Path, str]:
    """Return the project folder and the run's name that `--out`, or `--project` and `--name`, stand for.

    Args:
        out: The folder itself.
        project: Folder of all runs.
        name: Name of the run.
        default: Project folder if none is given.
        exist_ok: Whether the folder may exist.

    Raises:
        OptionError: If `--out` is combined with `--project` or `--name`.
        OutputError: If `--out` exists.

    Example:
        >>> run_location(Path("runs/mine"), None, None, Path("runs/train"), exist_ok=False)
        (PosixPath('runs'), 'mine')
        >>> run_location(None, None, None, Path("runs/train"), exist_ok=False)
        (PosixPath('runs/train'), 'exp')
    """
    if out is None:
        return project or default, name or "exp"
    if project is not None or name is not None:
        flag = "--name" if project is None else "--project"
        raise OptionError(f"{flag} cannot be combined with --out", remedy="--out names the folder completely")
    if not exist_ok:
        refuse_existing(out)
    return out.parent, out.name


def _together(argument: str | None, sources: Sequence[str]) -> tuple[str, ...]:
    return tuple(sources) if argument is None else (argument, *sources)
