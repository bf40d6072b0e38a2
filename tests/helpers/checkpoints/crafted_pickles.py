"""Files that torch.save would never write: pickles built opcode by opcode, in the zip and the legacy format."""

import pickle
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from attendet.errors import WeightsError
from attendet.weights import read_checkpoint

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = b"\x80\x02"


def text(value: str) -> bytes:
    """Return the opcode that pushes a string; the functions below do the same for other values."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def integer(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def name(path: str) -> bytes:
    """Return the opcode that pushes a class or function, given as `module.name`."""
    module, _, attribute = path.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def call(path: str, *arguments: bytes) -> bytes:
    """Return the opcodes that call a function."""
    return name(path) + b"(" + b"".join(arguments) + b"tR"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(count: int, key: str = "0", kind: str = "torch.FloatStorage", view: bytes | None = None) -> bytes:
    """Return the opcodes of a storage's persistent id; in the legacy format it ends with a view or None."""
    return b"(" + text("storage") + name(kind) + text(key) + text("cpu") + integer(count) + (view or b"") + b"tQ"


def tensor(
    size: tuple[int, ...],
    stride: tuple[int, ...],
    offset: int = 0,
    stored: int = 8,
    storage_id: bytes | None = None,
) -> bytes:
    """Return the opcodes that build a tensor.

    Args:
        size: Its shape.
        stride: Its strides, in elements.
        offset: Index of its first element in the storage.
        stored: Number of elements of the storage.
        storage_id: Opcodes of another persistent id.
    """
    parts = (storage_id or storage(stored), integer(offset), integers(size), integers(stride), b"\x89", b"}")
    return call("torch._utils._rebuild_tensor_v2", *parts)


GOOD_TENSOR = tensor((2, 4), (4, 1))


def module(children: bytes = b"}", parameters: bytes = b"}", **attributes: bytes) -> bytes:
    """Return the opcodes that build a module of an unknown class."""
    state = mapping(_parameters=parameters, _buffers=b"}", _modules=children, **attributes)
    return name("models.yolo.Model") + b")\x81" + state + b"b"


def zipped(
    path: Path,
    program: bytes,
    storages: Mapping[str, bytes] | None = None,
    more: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write a pickle (without its first and last opcode) and storages as an archive of torch."""
    members = {"a/data.pkl": PROTOCOL + program + b"."}
    members |= {f"a/data/{key}": content for key, content in ({"0": bytes(32)} | dict(storages or {})).items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in (members | dict(more or {})).items():
            archive.writestr(member, content)
    return path


def legacy(path: Path, program: bytes, keys: Any = (), storages: bytes = b"", *, little_endian: bool = True) -> Path:
    """Write a pickle (without its first and last opcode) in the format used before PyTorch 1.6."""
    file = BytesIO()
    for value in (MAGIC_NUMBER, 1001, {"little_endian": little_endian}):
        file.write(pickle.dumps(value, 2))
    file.write(PROTOCOL + program + b".")
    file.write(pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2))
    path.write_bytes(file.getvalue() + storages)
    return path


class Bomb:
    """Creates a file when it is unpickled by `pickle`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def refusal(path: Path) -> str:
    """Return the error message for a file, after checking that it names the file and is at most a paragraph long."""
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert caught.value.where is not None
    assert caught.value.where.file == str(path)
    assert len(str(caught.value)) < 1000
    return str(caught.value)
