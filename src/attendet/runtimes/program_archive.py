"""Check of a `.pt2` file before torch reads it.

torch.export's reader unpickles entries that are marked for it, evaluates expressions of sizes as Python, and compiles
guards. A file from a stranger could run code in each of these places. Programs that attendet writes need none of them,
so a file that does is refused.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from torch.export.pt2_archive import PT2ArchiveReader

from attendet.errors import WeightsError

_MODEL = "models/model.json"
_EXAMPLES = "data/sample_inputs/"
_FOLDERS = ("data/weights/", "data/constants/", _EXAMPLES, "models/", "extra/", ".data/")
_FILES = ("archive_format", "archive_version", "version", "byteorder")
_MAX_MODEL_BYTES = 2**28
_MAX_EXPRESSION = 100_000
_MAX_POWERS = 8

_OPERATOR = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|torch\.ops\.attendet\.\w+\.\w+|_operator\.\w+|math\.\w+|torch\.sym_\w+"
)
_REFUSED_OPERATORS = re.compile(r"from_file|_operator\.(call|methodcaller|attrgetter|itemgetter|setitem|delitem)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_ARITHMETIC = re.compile(r"[\w\s(),.+*/%<>=!-]*")
_ATTRIBUTE = re.compile(r"\.\s*[A-Za-z_]|[A-Za-z_)]\s*\.")
_SYMBOLIC_NAME = re.compile(
    "Symbol|Integer|Rational|Float|Add|Mul|Pow|Mod|PythonMod|Max|Min|FloorDiv|CleanDiv|CeilDiv|"
    "CeilToInt|FloorToInt|TruncToInt|IntTrueDiv|ModularIndexing|Where|Eq|Ne|Equality|Unequality|"
    "StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|And|Or|Not|true|false|True|False|positive|integer|nonnegative"
)
_SYMBOL = re.compile(r"[suz]+\d+")
_SMALL_EXPONENT = re.compile(r"Integer\(-?[0-4]\)")
_GROWING = re.compile(r"\*\*|<<|[0-9]{19}")
_QUOTED_SYMBOL = re.compile(rf"'{_SYMBOL.pattern}'")


def require_harmless_program(content: BinaryIO) -> None:
    """Raise an error if reading a `.pt2` file with torch could do anything else than build its network.

    Args:
        content: The content of the file; it is read with torch's own archive reader, as torch will read it.

    Raises:
        WeightsError: If the file has pickled objects, compiled code, expressions that are not arithmetic, guards, or
            operators of other libraries.
    """
    reader = PT2ArchiveReader(content)  # pyright: ignore[reportArgumentType] - its annotation lacks buffers
    names = reader.get_file_names()
    _require_stored_entries(reader, names, content)
    for name in names:
        _require_plain_entry(reader, name)
    if _MODEL not in names:
        raise WeightsError("the file must contain a program, got none")
    program = json.loads(_read(reader, _MODEL))
    if program.get("guards_code"):
        raise WeightsError("the program must have no guards, which torch would compile")
    for key, text in _strings(program):
        if key == "target":
            _require_known_operator(text)
        elif key == "expr_str":
            _require_arithmetic(text)


def _require_stored_entries(reader: PT2ArchiveReader, names: Sequence[str], content: BinaryIO) -> None:
    """Raise an error if the entries are larger than the file: compressed entries can fill the memory."""
    size = content.seek(0, io.SEEK_END)
    if sum(reader.archive_file.get_record_size(name) for name in names) > size:
        raise WeightsError("the entries of the file must not be compressed")


def _require_plain_entry(reader: PT2ArchiveReader, name: str) -> None:
    if not name.startswith(_FOLDERS) and name not in _FILES:
        raise WeightsError(f"the file must contain a plain program, got the entry {name!r}")
    if name.startswith("models/") and name != _MODEL:
        raise WeightsError(f"the file must contain one program, got the entry {name!r}")
    if name.startswith(_EXAMPLES) and reader.read_bytes(name):
        raise WeightsError("the program must have no example inputs, which torch would unpickle")
    if name.endswith("_config.json"):
        _require_no_pickles(json.loads(_read(reader, name)))


def _read(reader: PT2ArchiveReader, name: str) -> bytes:
    content = reader.read_bytes(name)
    if len(content) > _MAX_MODEL_BYTES:
        raise WeightsError(f"the entry {name!r} must have at most {_MAX_MODEL_BYTES:,} bytes, got {len(content):,}")
    return content


def _require_no_pickles(config: Any) -> None:
    entries = config.get("config", {})
    for name, entry in entries.items():
        if entry.get("use_pickle") or entry.get("tensor_meta") is None:
            raise WeightsError(f"{name!r} must be a tensor, got a pickled object, which could run code")


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """Yield all strings in nested JSON with the keys that they are stored under."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        key, each = pending.pop()
        if isinstance(each, dict):
            pending += each.items()
        elif isinstance(each, list):
            pending += ((key, item) for item in each)
        elif isinstance(each, str):
            yield key, each


def _require_known_operator(name: str) -> None:
    if not _OPERATOR.fullmatch(name) or _REFUSED_OPERATORS.search(name):
        raise WeightsError(f"the program must use operators of torch's aten library, got {name!r}")


def _require_arithmetic(expression: str) -> None:
    """Raise an error unless an expression consists of numbers, symbols of sizes, and arithmetic functions."""
    plain = _QUOTED_SYMBOL.sub("", expression[:_MAX_EXPRESSION])
    knows_words = all(_SYMBOLIC_NAME.fullmatch(word) or _SYMBOL.fullmatch(word) for word in _WORD.findall(plain))
    is_plain = _ARITHMETIC.fullmatch(plain) and not _ATTRIBUTE.search(plain)
    if len(expression) > _MAX_EXPRESSION or not knows_words or not is_plain or not _is_cheap(expression):
        raise WeightsError(f"sizes in the program must be arithmetic, got {expression[:80]!r}")


def _is_cheap(expression: str) -> bool:
    """Return whether an expression is quick to compute: 9**9**9 would take all time and memory."""
    try:
        nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    powers = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "Pow"]
    exponents = [ast.unparse(node.args[1]) for node in powers if len(node.args) == 2]
    has_small_powers = len(exponents) == len(powers) <= _MAX_POWERS and all(map(_SMALL_EXPONENT.fullmatch, exponents))
    return has_small_powers and not _GROWING.search(expression)
