"""Arguments in the notations that YOLOv5's users type, rewritten into the one that Typer reads.

- Several values after one option: `--classes 0 1`.
- Options without their value: `--cache`, `--resume`.
- `key=value` for `--key value`, and `_` for `-` in names.
- Options that have another name in attendet.

An argument that cannot be rewritten is an error that names the right option.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attendet.cli.yolov5.flags import DEFAULT_VALUES, REPLACED_FLAGS, SETTING_FLAGS, UNSUPPORTED_FLAGS
from attendet.errors import OptionError, nearest_name

_KEY_VALUE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=.*", re.DOTALL)
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
        has_arguments: Whether the verb also takes arguments without a name, such as images.
    """

    verb: str
    flags: frozenset[str] = frozenset()
    single: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    has_arguments: bool = False

    @property
    def replaced(self) -> Mapping[str, tuple[str, ...]]:
        """Flags that are replaced by other options."""
        return REPLACED_FLAGS.get(self.verb, {})

    @property
    def settings(self) -> Mapping[str, str]:
        """Options that are replaced by `--set`, and the keys that they set."""
        return SETTING_FLAGS.get(self.verb, {})

    @property
    def unsupported(self) -> Mapping[str, str]:
        """Options of YOLOv5 that the verb does not have, and what to do instead."""
        return UNSUPPORTED_FLAGS.get(self.verb, {})

    @property
    def accepted(self) -> frozenset[str]:
        """All options that can be typed."""
        return self.flags | self.single | self.lists | self.replaced.keys() | self.settings.keys()


def rewrite_arguments(arguments: Sequence[str], declared: DeclaredOptions) -> list[str]:
    """Return arguments in which every option is declared and is followed by exactly its value.

    A list option takes all values up to the next option. If the verb has arguments of its own, it takes numbers only,
    so that images may follow.

    Args:
        arguments: The arguments after the verb.
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
    return _ArgumentRewriter(arguments, declared).rewrite()


class _ArgumentRewriter:
    """Rewrites the arguments of one verb, from left to right."""

    def __init__(self, arguments: Sequence[str], declared: DeclaredOptions) -> None:
        self._pending = deque(arguments)
        self._declared = declared

    def rewrite(self) -> list[str]:
        rewritten: list[str] = []
        while self._pending:
            argument = self._pending.popleft()
            if argument == "--":
                return [*rewritten, argument, *self._pending]
            if argument.startswith("--"):
                rewritten += self._option(argument)
            elif self._is_key_value(argument):
                rewritten += self._option(f"--{argument}")
            else:
                rewritten.append(argument)
        return rewritten

    def _option(self, argument: str) -> list[str]:
        """Return an option with its values, and take these from the pending arguments."""
        declared = self._declared
        typed, equals, value = argument.partition("=")
        name = self._accepted_name(typed)
        if name in declared.flags or name in declared.replaced:
            is_set = not equals or _boolean(typed, value)
            return list(declared.replaced.get(name, (name,))) if is_set else []
        values = self._values(name, [value] if equals else [])
        if name in declared.lists:
            return [part for each in values for part in (name, each)]
        single = self._single_value(typed, values)
        return ["--set", f"{declared.settings[name]}={single}"] if name in declared.settings else [name, single]

    def _accepted_name(self, typed: str) -> str:
        """Return an accepted option for its name as typed, which may have underscores.

        Raises:
            OptionError: If there is no such option.
        """
        declared, hyphenated = self._declared, typed.replace("_", "-")
        for name in (typed, hyphenated):
            if name in declared.accepted:
                return name
        if hyphenated in declared.unsupported:
            remedy = declared.unsupported[hyphenated]
            raise OptionError(f"attendet {declared.verb} does not support {typed}", remedy=remedy)
        nearest = nearest_name(hyphenated, sorted(declared.accepted))
        remedy = f"did you mean {nearest}?" if nearest else f"see attendet {declared.verb} --help"
        raise OptionError(f"attendet {declared.verb} has no option {typed}", remedy=remedy)

    def _values(self, name: str, values: list[str]) -> list[str]:
        """Return all values of an option: the given ones and the arguments that follow.

        Raises:
            OptionError: If there is no value.
        """
        if not values:
            has_value = bool(self._pending) and not _looks_like_option(self._pending[0])
            if name in DEFAULT_VALUES and (not has_value or self._is_key_value(self._pending[0])):
                return [DEFAULT_VALUES[name]]
            if not has_value:
                raise OptionError(f"`{name}` needs a value", remedy=f"write {name} VALUE")
            values = [self._pending.popleft()]
        while self._pending and self._is_another_value(self._pending[0], name, values[0]):
            values.append(self._pending.popleft())
        return values

    def _is_another_value(self, argument: str, name: str, first: str) -> bool:
        """Return whether an argument that follows the first value of an option is another value of it.

        If the verb has arguments of its own, only numbers are: after another number, or in a list option.
        """
        if _looks_like_option(argument) or self._is_key_value(argument):
            return False
        if not self._declared.has_arguments:
            return True
        return _is_number(argument) and (_is_number(first) or name in self._declared.lists)

    def _single_value(self, name: str, values: list[str]) -> str:
        """Return the only value of an option.

        Raises:
            OptionError: If there are several.
        """
        if len(values) == 1 or (name in _IMAGE_SIZES and len(set(values)) == 1):
            return values[0]
        if name in _IMAGE_SIZES:
            remedy = (
                "give the longer side only: images keep their aspect ratio; or fix height and width: --imgsz 384,640"
            )
        elif name == "--device":
            remedy = f"write --device {','.join(values)}"
        elif "--source" in self._declared.lists:
            remedy = "give one of them; a camera's number goes after --source"
        else:
            remedy = "give one of them"
        raise OptionError(f"`{name}` takes one value, got {' '.join(values)}", remedy=remedy)

    def _is_key_value(self, argument: str) -> bool:
        """Return whether an argument is an option in the notation of the `yolo` command, such as `conf=0.25`."""
        match = _KEY_VALUE.fullmatch(argument)
        if match is None or os.path.lexists(argument):
            return False
        name = f"--{match[1].replace('_', '-')}"
        # Without arguments of the verb it can be nothing else, and a wrong key is an error.
        return not self._declared.has_arguments or name in self._declared.accepted | self._declared.unsupported.keys()


def _boolean(name: str, value: str) -> bool:
    """Return whether a flag with a value, such as `half=True`, is set."""
    is_set = _BOOLEANS.get(value.lower())
    if is_set is None:
        raise OptionError(f"`{name}` must be True or False, got {value!r}", remedy=f"write {name} alone")
    return is_set


def _looks_like_option(argument: str) -> bool:
    return argument.startswith("-") and argument != "-" and not _is_number(argument)


def _is_number(argument: str) -> bool:
    return _NUMBER.fullmatch(argument) is not None
