"""Arguments in the notations that YOLOv5's users type, rewritten into the one that Typer reads.

- Several values after one flag: `--classes 0 1`.
- Options without their value: `--cache`, `--resume`.
- `key=value` for `--key value`, and `_` for `-` in names.
- Flags that have another name here.

What cannot be rewritten is an error that says what to type instead.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attendet.cli.yolov5_flags import DEFAULT_VALUES, REPLACED_FLAGS, SETTING_FLAGS, UNSUPPORTED_FLAGS
from attendet.errors import OptionError, nearest_name

_KEY_VALUE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_IMAGE_SIZES = frozenset(("--imgsz", "--img", "--img-size"))


@dataclass(frozen=True)
class DeclaredOptions:
    """The options of one verb.

    Attributes:
        verb: The verb without `attendet`, such as `train` or `data check`.
        flags: Options without a value, such as `--half`.
        single: Options with one value.
        lists: Options with one or more values.
        has_arguments: Whether the verb also takes arguments without a flag, such as images.
    """

    verb: str
    flags: frozenset[str] = frozenset()
    single: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    has_arguments: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All options."""
        return self.flags | self.single | self.lists


def rewrite_arguments(arguments: Sequence[str], declared: DeclaredOptions) -> list[str]:
    """Return arguments in which every option is declared and is followed by exactly its value.

    A list option takes all values up to the next option. Where the verb has arguments of its own, it takes numbers
    only, so that images may follow.

    Args:
        arguments: The command line behind the verb.
        declared: The options of the verb.

    Raises:
        OptionError: If an option does not exist, is not supported, or has no value or too many.

    Example:
        >>> train = DeclaredOptions("train", single=frozenset(["--cache", "--batch-size"]), lists=frozenset(["--set"]))
        >>> rewrite_arguments(["--cache", "batch_size=8", "--lr0", "0.01"], train)
        ['--cache', 'ram', '--batch-size', '8', '--set', 'optimizer.lr0=0.01']
        >>> predict = DeclaredOptions("predict", lists=frozenset(["--classes"]), has_arguments=True)
        >>> rewrite_arguments(["--classes", "0", "1", "photos"], predict)
        ['--classes', '0', '--classes', '1', 'photos']
        >>> rewrite_arguments(["--batch-size", "4", "8"], train)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `--batch-size` takes one value, got 4 8; give one of them
    """
    pending = deque(arguments)
    rewritten: list[str] = []
    while pending:
        argument = pending.popleft()
        if argument == "--":
            return [*rewritten, argument, *pending]
        if argument.startswith("--"):
            rewritten += _rewrite_option(argument, pending, declared)
        elif _is_key_value(argument, declared):
            rewritten += _rewrite_option(f"--{argument}", pending, declared)
        else:
            rewritten.append(argument)
    return rewritten


def _rewrite_option(argument: str, pending: deque[str], declared: DeclaredOptions) -> list[str]:
    """Return an option with its values, which are taken from `pending`."""
    written, equals, value = argument.partition("=")
    name = _declared_name(written, declared)
    if name in declared.flags:
        return _flag(name, value) if equals else [name]
    replaced = REPLACED_FLAGS.get(declared.verb, {}).get(name)
    if replaced is not None:
        return list(replaced) if not equals or _flag(written, value) else []
    values = _values(written, [value] if equals else [], pending, declared, several=name in declared.lists)
    if name in declared.lists:
        return [part for each in values for part in (name, each)]
    single = _single_value(written, values, declared)
    setting = SETTING_FLAGS.get(declared.verb, {}).get(name)
    return [name, single] if setting is None else ["--set", f"{setting}={single}"]


def _declared_name(written: str, declared: DeclaredOptions) -> str:
    """Return the name under which an option is declared here or replaced.

    Raises:
        OptionError: If there is no such option.
    """
    for name in (written, written.replace("_", "-")):
        if any(name in known for known in _known_flags(declared)):
            return name
    hyphenated = written.replace("_", "-")
    remedy = UNSUPPORTED_FLAGS.get(declared.verb, {}).get(hyphenated)
    if remedy is not None:
        raise OptionError(f"attendet {declared.verb} does not support {written}", remedy=remedy)
    nearest = nearest_name(hyphenated, [name for known in _known_flags(declared) for name in known])
    remedy = f"did you mean {nearest}?" if nearest else f"see attendet {declared.verb} --help"
    raise OptionError(f"attendet {declared.verb} has no option {written}", remedy=remedy)


def _known_flags(declared: DeclaredOptions) -> Iterator[frozenset[str]]:
    yield declared.names
    yield frozenset(REPLACED_FLAGS.get(declared.verb, ()))
    yield frozenset(SETTING_FLAGS.get(declared.verb, ()))


def _is_key_value(argument: str, declared: DeclaredOptions) -> bool:
    """Return whether an argument is an option in the notation of the `yolo` command, such as `conf=0.25`."""
    match = _KEY_VALUE.fullmatch(argument)
    if match is None or os.path.lexists(argument):
        return False
    if not declared.has_arguments:
        return True
    name = f"--{match[1].replace('_', '-')}"
    return any(name in known for known in (*_known_flags(declared), UNSUPPORTED_FLAGS.get(declared.verb, {})))


def _flag(name: str, value: str) -> list[str]:
    """Return `--half` for `half=True`, and nothing for `half=False`."""
    is_set = _BOOLEANS.get(value.lower())
    if is_set is None:
        raise OptionError(f"`{name}` must be True or False, got {value!r}", remedy=f"write {name} alone")
    return [name] if is_set else []


def _values(
    name: str, values: list[str], pending: deque[str], declared: DeclaredOptions, *, several: bool
) -> list[str]:
    """Return all values of an option, taking those that follow it from `pending`."""
    if not values:
        has_value = bool(pending) and not _looks_like_option(pending[0])
        if name in DEFAULT_VALUES and (not has_value or _is_key_value(pending[0], declared)):
            return [DEFAULT_VALUES[name]]
        if not has_value:
            raise OptionError(f"`{name}` needs a value", remedy=f"write {name} VALUE")
        values = [pending.popleft()]
    while pending and _continues(values[0], pending[0], declared, several=several):
        values.append(pending.popleft())
    return values


def _continues(first: str, following: str, declared: DeclaredOptions, *, several: bool) -> bool:
    """Return whether the argument that follows a value is another value of the same option.

    Where the verb has arguments of its own, only a number is: behind a number, or behind any value of a list.
    """
    if _looks_like_option(following) or _is_key_value(following, declared):
        return False
    if not declared.has_arguments:
        return True
    return _is_number(following) and (several or _is_number(first))


def _single_value(name: str, values: list[str], declared: DeclaredOptions) -> str:
    """Return the value of an option that takes one.

    Raises:
        OptionError: If there are several.
    """
    if len(values) == 1 or (name in _IMAGE_SIZES and len(set(values)) == 1):
        return values[0]
    if name in _IMAGE_SIZES:
        remedy = "give the longer side only: images keep their aspect ratio"
    elif name == "--device":
        remedy = f"write --device {','.join(values)}"
    elif "--source" in declared.names and name != "--source":
        remedy = "give one of them; a camera's number goes behind --source"
    else:
        remedy = "give one of them"
    raise OptionError(f"`{name}` takes one value, got {' '.join(values)}", remedy=remedy)


def _looks_like_option(argument: str) -> bool:
    return argument.startswith("-") and argument != "-" and not _is_number(argument)


def _is_number(argument: str) -> bool:
    return _NUMBER.fullmatch(argument) is not None
