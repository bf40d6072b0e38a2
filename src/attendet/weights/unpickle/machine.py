"""A stack machine that reads pickles into inert values.

Python's own unpicklers look up and call what a pickle names, and some take memory for what it merely declares. This one
knows opcodes that build plain values; names stay names, and a call is made only if `calls` has the function. It does
not recurse, so nesting costs it nothing.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, TypeAlias

from attendet.errors import WeightsError
from attendet.utils.text import printable
from attendet.weights.unpickle.inert import PickledName, PickledObject, hashable, is_named

# The largest detectors and classifiers have a few hundred thousand steps, in a few megabytes.
MAX_BYTES = 64 * 1024 * 1024
MAX_STEPS = 1_000_000
_BYTES_A_STEP = 16

Call: TypeAlias = Callable[..., Any]

_REMEDY = "have its author save it as a state dict or as safetensors"


def unpickle(data: BytesIO, calls: Mapping[str, Call], persistent: Call | None = None) -> Any:
    """Return the object of the pickle at the reader's position; the reader is left behind the pickle.

    Args:
        data: The pickle, and whatever follows it.
        calls: What stands for the functions a pickle may call, by module and name.
        persistent: Makes the value for a persistent id.

    Raises:
        WeightsError: If the pickle is damaged, calls anything else, or is larger than those of models are.

    Example:
        >>> import pickle
        >>> unpickle(BytesIO(pickle.dumps({"epoch": 3}, protocol=2)), calls={})
        {'epoch': 3}
        >>> unpickle(BytesIO(pickle.dumps({1}, protocol=2)), calls={})
        Traceback (most recent call last):
        ...
        attendet.errors.WeightsError: opening it would call __builtin__.set, which is refused; have its author save it
        as a state dict or as safetensors
    """
    try:
        return _Machine(calls, persistent).run(data)
    except (ValueError, TypeError, LookupError, ArithmeticError, struct.error) as error:
        # What damaged pickles end in: opcodes cut short, a stack without what they take, text that is none.
        raise WeightsError(f"its pickle is damaged: {printable(str(error)[:200])}") from error


class _Machine:
    def __init__(self, calls: Mapping[str, Call], persistent: Call | None) -> None:
        self.calls = calls
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0

    def run(self, data: BytesIO) -> Any:
        while True:
            code = data.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError("it ends too early" if not code else f"there is no opcode {code!r}")
            if opcode.name == "STOP":
                return self.pop()
            # Asked before the argument is read: readers of unknown opcodes are nobody's business.
            if opcode.name not in _OPERATIONS:
                raise WeightsError(f"its pickle has the opcode {opcode.name}, which is refused", remedy=_REMEDY)
            self.charge(1)
            _OPERATIONS[opcode.name](self, opcode.arg.reader(data) if opcode.arg else None)

    def charge(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise WeightsError(f"its pickle takes more than {MAX_STEPS:,} steps; those of models take far fewer")

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
        # The memo is a mapping, so that a huge index takes no memory.
        self.memo[index] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.put(len(self.memo))

    def get(self, index: int) -> None:
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
        target.update(zip(map(hashable, items[::2]), items[1::2], strict=True))

    def name(self, text: str) -> None:
        # Module and name stand on two lines; `pickletools` joins them by a blank.
        self.push(is_named(*text.split(" ", 1)))

    def name_from_stack(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        self.push(is_named(module, name))

    def new(self, _: None) -> None:
        arguments, kind = self.pop(), self.pop()
        if not isinstance(kind, PickledName):
            raise TypeError("it makes an object of what is no class")
        self.push(PickledObject(kind, arguments))

    def new_with_keywords(self, _: None) -> None:
        keywords = self.pop()
        self.new(None)
        self.stack[-1].arguments = (self.stack[-1].arguments, keywords)

    def build(self, _: None) -> None:
        state = self.pop()
        # Kept, not copied: one large state could be given to many objects. What is no record has no use for it.
        if isinstance(self.stack[-1], PickledObject):
            self.stack[-1].state = state

    def call(self, _: None) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, PickledName) or not isinstance(arguments, tuple):
            raise TypeError("it calls what is no function")
        if function.path not in self.calls:
            raise WeightsError(f"opening it would call {function}, which is refused", remedy=_REMEDY)
        # Calls may copy their arguments, and one argument can be given to many calls.
        self.charge(len(arguments) + sum(map(_weight, arguments)))
        self.push(self.calls[function.path](*arguments))

    def load_persistent(self, _: None) -> None:
        if self.persistent is None:
            raise ValueError("it refers to what stands outside of it")
        self.push(self.persistent(self.pop()))


def _weight(argument: Any) -> int:
    match argument:
        case str() | bytes() | bytearray():
            return len(argument) // _BYTES_A_STEP
        case list() | tuple() | dict():
            return len(argument)
        case _:
            return 0


def _pushes(make: Callable[[_Machine], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(make(machine))


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
    # A set is as good as the list of its elements here, and a list needs no hashes.
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
