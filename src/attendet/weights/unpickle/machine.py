"""A stack machine that reads a pickle without running code from it.

Python's unpicklers import and call the functions that a pickle names, and some allocate the memory that a pickle merely
declares. This machine supports only the opcodes that build plain values. Names are never looked up, and a call uses a
replacement of the function or fails. The machine does not recurse, so deeply nested pickles do not overflow the stack.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any, TypeAlias

from attendet.errors import WeightsError
from attendet.utils.text import printable, shorten
from attendet.weights.unpickle.placeholders import PickledName, PickledObject, checked_key, pickled_name

# The pickles of the largest detectors and classifiers have a few megabytes and a few hundred thousand opcodes.
MAX_BYTES = 64 * 1024 * 1024
MAX_STEPS = 1_000_000
_BYTES_PER_STEP = 16
# Python hashes text with a secret seed. The hash of a number is the number modulo 2**61 - 1, so that a file can choose
# numbers whose every insertion compares the key with all others. A real mapping has at most 10,000 of them: the names
# of classes, and the parameters of an optimizer.
_COMPARISONS_PER_STEP = 64
_SAFE_KEYS = (str, bytes)

Replacement: TypeAlias = Callable[..., Any]

_REMEDY = "ask its author for a state dict or a safetensors file"


def read_pickle(data: BytesIO, replacements: Mapping[str, Replacement], persistent: Replacement | None = None) -> Any:
    """Return the object of the pickle at the reader's position, and move the reader past the pickle.

    Args:
        data: The pickle, possibly with other bytes after it.
        replacements: Replacements of the functions that the pickle may call, by the function's module and name.
        persistent: Returns the value of a persistent id; None if the pickle must not contain any.

    Raises:
        WeightsError: If the pickle is damaged, calls any other function, or is larger than the pickle of a model.

    Example:
        >>> import pickle
        >>> read_pickle(BytesIO(pickle.dumps({"epoch": 3}, protocol=2)), replacements={})
        {'epoch': 3}
        >>> read_pickle(BytesIO(pickle.dumps({1}, protocol=2)), replacements={})
        Traceback (most recent call last):
        ...
        attendet.errors.WeightsError: opening the file would call __builtin__.set, which is refused; ask its author for
        a state dict or a safetensors file
    """
    try:
        return _Machine(replacements, persistent).run(data)
    except (ValueError, TypeError, LookupError, ArithmeticError, struct.error) as error:
        # A damaged pickle has truncated opcodes, takes values from an empty stack, or contains invalid text.
        raise WeightsError(f"the pickle is damaged: {printable(shorten(str(error), 200))}") from error


class _Machine:
    """The stack, the marks, and the memo of a pickle that is being read, and one method for each group of opcodes."""

    def __init__(self, replacements: Mapping[str, Replacement], persistent: Replacement | None) -> None:
        self.replacements = replacements
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        # A list and not a mapping, because a file can choose indices that collide.
        self.memo: list[Any] = []
        self.steps = 0

    def run(self, data: BytesIO) -> Any:
        while True:
            code = data.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"unknown opcode {code!r}" if code else "unexpected end of the pickle")
            if opcode.name == "STOP":
                return self.pop()
            # Checked before the argument is read, so that only the argument readers of supported opcodes run.
            if opcode.name not in _OPERATIONS:
                raise WeightsError(f"the pickle uses the opcode {opcode.name}, which is refused", remedy=_REMEDY)
            self.charge(1)
            _OPERATIONS[opcode.name](self, opcode.arg.reader(data) if opcode.arg else None)

    def charge(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise WeightsError(f"the pickle takes more than {MAX_STEPS:,} steps, far more than the pickle of a model")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def mark(self, _: None) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marked.pop()
        return items

    def duplicate(self, _: None) -> None:
        self.push(self.stack[-1])

    def put(self, index: int) -> None:
        if not 0 <= index <= MAX_STEPS:
            raise ValueError("the index of a repeated object is too large")
        self.memo.extend([_UNSET] * (index + 1 - len(self.memo)))
        self.memo[index] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.put(len(self.memo))

    def get(self, index: int) -> None:
        if not 0 <= index < len(self.memo) or self.memo[index] is _UNSET:
            raise ValueError("it repeats an object that it does not have")
        self.push(self.memo[index])

    def pack(self, length: int) -> None:
        items = [self.pop() for _ in range(length)]
        self.push(tuple(reversed(items)))

    def dictionary(self, _: None) -> None:
        items = self.since_mark()
        self.push({})
        self.set_items(items)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, PickledObject):
            target.elements = target.elements or []
            target = target.elements
        if not isinstance(target, list):
            raise TypeError(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, PickledObject):
            target.entries = target.entries or {}
            target = target.entries
        if not isinstance(target, dict):
            raise TypeError(f"it sets items of a {type(target).__name__}")
        # The mapping has this size on average while the items are added.
        self.charge(_key_cost(items[::2], len(target) + len(items) // 4))
        target.update(zip(map(checked_key, items[::2]), items[1::2], strict=True))

    def name(self, text: str) -> None:
        # The pickle has module and name on separate lines; `pickletools` joins them with a space.
        self.push(pickled_name(*text.split(" ", 1)))

    def name_from_stack(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        self.push(pickled_name(module, name))

    def new(self, _: None) -> None:
        arguments, kind = self.pop(), self.pop()
        if not isinstance(kind, PickledName):
            raise TypeError("it creates an object of something that is not a class")
        self.push(PickledObject(kind, arguments))

    def new_with_keywords(self, _: None) -> None:
        keywords = self.pop()
        self.new(None)
        self.stack[-1].arguments = (self.stack[-1].arguments, keywords)

    def build(self, _: None) -> None:
        state = self.pop()
        # The state is not copied, because a pickle can give one large state to many objects.
        if isinstance(self.stack[-1], PickledObject):
            self.stack[-1].state = state

    def call(self, _: None) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, PickledName) or not isinstance(arguments, tuple):
            raise TypeError("it calls something that is not a function")
        if function.path not in self.replacements:
            raise WeightsError(f"opening the file would call {function}, which is refused", remedy=_REMEDY)
        # Replacements may copy their arguments, and a pickle can pass one argument to many calls.
        self.charge(len(arguments) + sum(map(_cost, arguments)))
        self.push(self.replacements[function.path](*arguments))

    def load_persistent(self, _: None) -> None:
        if self.persistent is None:
            raise ValueError("it refers to data outside the pickle")
        self.push(self.persistent(self.pop()))


def _cost(argument: Any) -> int:
    """Return the number of steps that a copy of an argument counts as."""
    match argument:
        case str() | bytes() | bytearray():
            return len(argument) // _BYTES_PER_STEP
        case dict():
            return len(argument) + _key_cost(argument, len(argument))
        case list() | tuple():
            # Pairs can become the items of a mapping.
            pairs = (item for item in argument if isinstance(item, list | tuple) and len(item) == 2)
            return len(argument) + _key_cost((key for key, _ in pairs), len(argument))
        case _:
            return 0


def _key_cost(keys: Iterable[Any], size: int) -> int:
    """Return the number of steps that putting keys into a mapping of a size counts as."""
    parts = sum(len(key) if isinstance(key, tuple) else not isinstance(key, _SAFE_KEYS) for key in keys)
    return parts * (size // _COMPARISONS_PER_STEP)


def _pushes(make: Callable[[_Machine], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(make(machine))


_UNSET = object()

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}

_OPERATIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda _machine, _argument: None),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _Machine.push),
    **dict.fromkeys(("FLOAT", "BINFLOAT"), _Machine.push),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _Machine.push),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _Machine.push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _Machine.push),
    "NONE": _pushes(lambda _: None),
    "NEWTRUE": _pushes(lambda _: True),
    "NEWFALSE": _pushes(lambda _: False),
    "POP": lambda machine, _: machine.pop(),
    "DUP": _Machine.duplicate,
    "MARK": _Machine.mark,
    "POP_MARK": lambda machine, _: machine.since_mark(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "MEMOIZE": _Machine.memoize,
    "EMPTY_TUPLE": lambda machine, _: machine.pack(0),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "TUPLE": _pushes(lambda machine: tuple(machine.since_mark())),
    "EMPTY_LIST": _pushes(lambda _: []),
    "LIST": _pushes(_Machine.since_mark),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "EMPTY_DICT": _pushes(lambda _: {}),
    "DICT": _Machine.dictionary,
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    # Sets are read as lists of their elements, because hostile elements can be slow to hash.
    "EMPTY_SET": _pushes(lambda _: []),
    "ADDITEMS": lambda machine, _: machine.append(machine.since_mark()),
    "FROZENSET": _pushes(_Machine.since_mark),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "BUILD": _Machine.build,
    "REDUCE": _Machine.call,
    "BINPERSID": _Machine.load_persistent,
}
