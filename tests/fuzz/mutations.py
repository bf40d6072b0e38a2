"""Mutations of bytes, and of values as JSON and YAML hold them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.hostile_values import INTEGERS, TEXTS, scalar

MAX_RUN = 64
"""Most bytes that one mutation removes, repeats, or inserts."""


def mutate_bytes(random: Random, content: bytes, times: int | None = None) -> bytes:
    """Return the content after some random changes of its bytes.

    Args:
        random: Source of randomness.
        content: The content of a file.
        times: Number of changes (default: 1 to 8).
    """
    changed = bytearray(content)
    for _ in range(random.randint(1, 8) if times is None else times):
        random.choice(_BYTE_MUTATIONS)(random, changed)
    return bytes(changed)


def mutate_value(random: Random, value: Any, times: int | None = None) -> Any:
    """Return a copy of a nested value after some random changes of its items.

    Args:
        random: Source of randomness.
        value: Mappings, lists, and scalars.
        times: Number of changes (default: 0 to 4).
    """
    top = [deepcopy(value)]
    for _ in range(random.choice((0, 1, 1, 2, 4)) if times is None else times):
        holder, key = random.choice(_places(top))
        random.choice(_VALUE_MUTATIONS)(random, holder, key)
    return top[0] if top else None


def sometimes(random: Random, probability: float) -> bool:
    """Return whether an event of this probability happens."""
    return random.random() < probability


def _flip(random: Random, content: bytearray) -> None:
    if content:
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def _replace_byte(random: Random, content: bytearray) -> None:
    if content:
        content[random.randrange(len(content))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _replace_number(random: Random, content: bytearray) -> None:
    code = random.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(code)
    if len(content) >= size:
        start = random.randrange(len(content) - size + 1)
        content[start : start + size] = struct.pack(code, random.choice(INTEGERS) % 2 ** (8 * size))


def _remove(random: Random, content: bytearray) -> None:
    start, end = _run(random, content)
    del content[start:end]


def _repeat(random: Random, content: bytearray) -> None:
    start, end = _run(random, content)
    content[start:start] = content[start:end] * random.choice((1, 2, 50))


def _insert(random: Random, content: bytearray) -> None:
    start, _ = _run(random, content)
    content[start:start] = random.choice((random.randbytes(random.randint(1, MAX_RUN)), _any_text(random)))


def _truncate(random: Random, content: bytearray) -> None:
    if sometimes(random, 0.3):
        del content[random.randrange(len(content) + 1) :]


def _any_text(random: Random) -> bytes:
    return random.choice(TEXTS).encode("utf-8", "surrogatepass")


def _run(random: Random, content: bytearray) -> tuple[int, int]:
    start = random.randrange(len(content) + 1)
    return start, start + random.randint(1, MAX_RUN)


_BYTE_MUTATIONS: tuple[Callable[[Random, bytearray], None], ...] = (
    _flip,
    _replace_byte,
    _replace_number,
    _remove,
    _repeat,
    _insert,
    _truncate,
)


def _places(top: list[Any]) -> list[tuple[Any, Any]]:
    """Return every item of a nested value as its holder and its key."""
    places: list[tuple[Any, Any]] = []
    pending: list[Any] = [top]
    while pending:
        holder = pending.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            places.append((holder, key))
            if isinstance(holder[key], dict | list):
                pending.append(holder[key])
    return places or [([None], 0)]


def _replace(random: Random, holder: Any, key: Any) -> None:
    holder[key] = scalar(random)


def _delete(random: Random, holder: Any, key: Any) -> None:  # noqa: ARG001 (one signature for all)
    del holder[key]


def _duplicate(random: Random, holder: Any, key: Any) -> None:
    copies = [deepcopy(holder[key]) for _ in range(random.choice((1, 3, 40)))]
    if isinstance(holder, list):
        holder[key:key] = copies
    else:
        holder |= {f"{key}{number}": copy for number, copy in enumerate(copies)}


def _wrap(random: Random, holder: Any, key: Any) -> None:
    for _ in range(random.choice((1, 2, 10, 60))):
        holder[key] = [holder[key]] if sometimes(random, 0.5) else {"x": holder[key]}


def _rename(random: Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[random.choice((*TEXTS, f"{key}s", str(key)[:-1], str(key).upper()))] = holder.pop(key)


def _add(random: Random, holder: Any, key: Any) -> None:  # noqa: ARG001
    if isinstance(holder, dict):
        holder[random.choice(TEXTS)] = scalar(random)
    else:
        holder.append(scalar(random))


_VALUE_MUTATIONS: tuple[Callable[[Random, Any, Any], None], ...] = (
    _replace,
    _replace,
    _replace,
    _delete,
    _duplicate,
    _wrap,
    _rename,
    _add,
)
