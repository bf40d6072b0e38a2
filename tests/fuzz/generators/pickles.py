"""Pickles of weights files: programs that `pickle` would run, in both formats of torch."""

from __future__ import annotations

import importlib
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.generators.containers import hostile_zip, zip_bytes
from tests.fuzz.hostile_values import CALLABLES, PLANTED_MODULE, TEXTS, equal_hashes
from tests.fuzz.hostile_values import integer as any_integer
from tests.fuzz.mutations import mutate_bytes, sometimes
from tests.helpers.checkpoints.crafted_pickles import (
    GOOD_TENSOR,
    PROTOCOL,
    call,
    integer,
    legacy,
    mapping,
    module,
    name,
    storage,
    tensor,
    text,
)

_STORAGE = struct.pack("<8f", *range(8))
_KINDS = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Bool", "Byte", "ComplexFloat", "QInt8", "Untyped")
_REBUILDERS = (
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._tensor._rebuild_from_type_v2",
    "collections.OrderedDict",
    "collections.defaultdict",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "pathlib.PosixPath",
    "argparse.Namespace",
    "datetime.datetime",
    "torch.Size",
    "torch.device",
    "_codecs.encode",
    "copyreg._reconstructor",
)


class _Reduced:
    """An object whose pickle calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def write_pickle(random: Random, folder: Path) -> Path:
    """Write a weights file whose pickle is hostile."""
    program = _program(random)
    if sometimes(random, 0.3):
        program = mutate_bytes(random, program)
    path = folder / random.choice(("last.pt", "best.pth", "a.ckpt", "weights.bin"))
    # Most containers are valid, so that the pickle is reached.
    match random.choice((*(6 * ("zip",)), "legacy", "legacy", "bare")):
        case "zip":
            path.write_bytes(_archive(random, PROTOCOL + program + b"."))
        case "legacy":
            old = program.replace(storage(8), storage(8, view=b"N"))
            legacy(path, old, ("0",), struct.pack("<q", 8) + _STORAGE)
        case _:
            path.write_bytes(PROTOCOL + program + b".")
    return path


def write_real_pickle(random: Random, folder: Path) -> Path:
    """Write a pickled object that runs something when it is loaded."""
    bomb = random.choice(
        (
            _Reduced(os.system, "touch ran"),
            _Reduced(eval, "open('ran', 'w')"),
            _Reduced(exec, "import os"),
            _Reduced(open, "ran", "w"),
            _Reduced(importlib.import_module, PLANTED_MODULE),
            _Reduced(getattr, os, "system") if sometimes(random, 0.1) else _Reduced(Path.touch, Path("ran")),
            _Reduced(bytearray, 2**33),
            _Reduced(print, "ran"),
        )
    )
    content: Any = bomb
    for _ in range(random.randrange(4)):
        content = random.choice(({"model": content}, [content], (content, content), {"state_dict": {"w": content}}))
    pickled = _dumps(content, random.randrange(6))
    path = folder / "last.pt"
    if sometimes(random, 0.5):
        path.write_bytes(_archive(random, pickled))
    else:
        path.write_bytes(mutate_bytes(random, pickled) if sometimes(random, 0.3) else pickled)
    return path


def _archive(random: Random, pickled: bytes) -> bytes:
    members = {"a/data.pkl": pickled, "a/data/0": _STORAGE}
    return hostile_zip(random, members) if sometimes(random, 0.1) else zip_bytes(members.items())


def _dumps(content: Any, protocol: int) -> bytes:
    try:
        return pickle.dumps(content, protocol)
    except (TypeError, AttributeError, pickle.PicklingError):
        # A module, as an argument of getattr, cannot be pickled.
        return pickle.dumps(_Reduced(os.system, "touch ran"), protocol)


def _program(random: Random) -> bytes:
    """Return the opcodes of a checkpoint with a hostile part."""
    tensors = mapping(**{f"model.{row}.conv.weight": GOOD_TENSOR for row in range(random.randrange(1, 4))})
    hostile = _value(random, 3)
    match random.randrange(6):
        case 0:
            return hostile
        case 1:
            return mapping(w=GOOD_TENSOR, x=hostile)
        case 2:
            return mapping(state_dict=tensors, epoch=hostile, opt=_value(random, 2))
        case 3:
            return mapping(ema=module(yaml=hostile, names=_value(random, 2)), model=module())
        case 4:
            return mapping(model=module(mapping(conv=module(parameters=mapping(weight=hostile)))))
        case _:
            return mapping(w=_tensor(random), x=hostile)


def _value(random: Random, depth: int) -> bytes:
    """Return the opcodes of a value, which nests at most `depth` levels."""
    makers = _LEAVES if depth == 0 else _LEAVES + _BRANCHES
    return random.choice(makers)(random, depth)


def _tensor(random: Random) -> bytes:
    def numbers() -> tuple[int, ...]:
        return tuple(any_integer(random) for _ in range(random.choice((0, 1, 2, 2, 4, 17))))

    kind = f"torch.{random.choice(_KINDS)}Storage"
    key = random.choice(("0", "0", "1", "../0", "data.pkl"))
    stored = storage(any_integer(random) if sometimes(random, 0.3) else 8, key, kind)
    return tensor(numbers(), numbers(), any_integer(random) if sometimes(random, 0.3) else 0, 8, stored)


def _doubled(random: Random, depth: int) -> bytes:
    """Return a list that holds a list twice, which holds a list twice, and so on: 2 to the power of 60 items."""
    return _value(random, depth - 1) + b"".join(b"q%c0(h%ch%cl" % ((number,) * 3) for number in range(60))


def _colliding(random: Random, _: int) -> bytes:
    items = b"".join(integer(key) + b"N" for key in equal_hashes(random.choice((10, 2000, 20_000))))
    return b"}(" + items + b"u"


def _endless(random: Random, _: int) -> bytes:
    return random.choice((b"]q\x00h\x00a", b"}q\x00X\x01\x00\x00\x00xh\x00s", b"]q\x00(h\x00h\x00e"))


def _deep(random: Random, _: int) -> bytes:
    depth = random.choice((10, 2000, 50_000))
    return random.choice((b"(" * depth + b"t" * depth, b"N" + b"\x85" * depth, b"]" * depth + b"a" * (depth - 1)))


def _false_length(random: Random, _: int) -> bytes:
    return random.choice(
        (b"X\xff\xff\xff\x7f", b"\x8d" + b"\xff" * 7 + b"\x7f", b"B\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f")
    )


def _huge_number(random: Random, _: int) -> bytes:
    digits = b"9" * random.choice((10, 5000, 200_000))
    return random.choice((b"I" + digits + b"\n", b"L" + digits + b"L\n", b"F" + digits + b"e999\n"))


_LEAVES: tuple[Callable[[Random, int], bytes], ...] = (
    lambda random, _: integer(any_integer(random)),
    lambda random, _: text(random.choice(TEXTS)),
    lambda random, _: random.choice((b"N", b"\x88", b"\x89", b"}", b"]", b")", b"\x8f", b"G\x7f\xf0" + bytes(6))),
    lambda random, _: GOOD_TENSOR,  # noqa: ARG005
    lambda random, _: _tensor(random),
    lambda random, _: name(random.choice(CALLABLES)),
    lambda random, _: random.choice((b"h\x00", b"2", b"0", b"a", b"u", b"R", b"b", b"\x81", b"\x92", b"Q", b"e", b"s")),
    lambda random, _: random.randbytes(random.randint(1, 8)),
    _colliding,
    _endless,
    _deep,
    _false_length,
    _huge_number,
)

_BRANCHES: tuple[Callable[[Random, int], bytes], ...] = (
    lambda random, depth: call(random.choice(CALLABLES), *_arguments(random, depth)),
    lambda random, depth: call(random.choice(CALLABLES), text("touch ran")),  # noqa: ARG005
    lambda random, depth: call(random.choice(_REBUILDERS), *_arguments(random, depth)),
    lambda random, depth: name(random.choice(CALLABLES)) + b")\x81" + _value(random, depth - 1) + b"b",
    lambda random, depth: b"(" + b"".join(_arguments(random, depth)) + random.choice((b"t", b"l", b"d")),
    lambda random, depth: b"}(" + _value(random, depth - 1) + _value(random, depth - 1) + b"u",
    lambda random, depth: module(_value(random, depth - 1), _value(random, depth - 1)),
    lambda random, depth: text("os") + text("system") + b"\x93" + text("touch ran") + b"\x85R",  # noqa: ARG005
    lambda random, depth: b"(" + text("touch ran") + b"ios\nsystem\n",  # noqa: ARG005
    _doubled,
)


def _arguments(random: Random, depth: int) -> list[bytes]:
    return [_value(random, depth - 1) for _ in range(random.randrange(4))]
