"""Files from Python 2, early releases of torch, and other releases of numpy."""

import struct
from pathlib import Path

import torch

from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.crafted_pickles import (
    call,
    integer,
    integers,
    legacy,
    mapping,
    name,
    storage,
    tensor,
    text,
    zipped,
)

VALUES = torch.arange(8.0)
STORED = struct.pack("<q", 8) + struct.pack("<8f", *range(8))


def python2_text(value: str) -> bytes:
    """Return the opcode for a string that Python 2 writes."""
    return b"U" + bytes([len(value)]) + value.encode()


def tensor_v1(storage_id: bytes, size: tuple[int, ...], offset: int = 0) -> bytes:
    """Return the opcodes that build a tensor in the first releases of torch."""
    return call("torch._utils._rebuild_tensor", storage_id, integer(offset), integers(size), integers((1,) * len(size)))


def test_a_state_dict_of_python_2(tmp_path: Path) -> None:
    storage_id = (
        b"("
        + python2_text("storage")
        + name("torch.FloatStorage")
        + python2_text("0")
        + python2_text("cpu")
        + integer(8)
        + b"NtQ"
    )
    pairs = b"](](" + python2_text("w") + tensor_v1(storage_id, (8,)) + b"ee"
    state = name("collections.OrderedDict") + pairs + b"\x85R"
    read = read_checkpoint(legacy(tmp_path / "a.pth", state, ("0",), STORED))
    assert list(read.tensors) == ["w"]
    assert torch.equal(read.tensors["w"], VALUES)


def test_legacy_views(tmp_path: Path) -> None:
    view = storage(8, view=b"(" + text("v") + integer(3) + integer(4) + b"t")
    state = mapping(w=tensor_v1(view, (3,), 1), whole=tensor_v1(storage(8, view=b"N"), (8,)))
    read = read_checkpoint(legacy(tmp_path / "a.pth", state, ("0",), STORED)).tensors
    assert read["w"].tolist() == [4, 5, 6]
    assert torch.equal(read["whole"], VALUES)


def test_modules_with_source_code(tmp_path: Path) -> None:
    kind = b"(" + text("module") + name("models.yolo.Model") + text("yolo.py") + text("class Model: ...") + b"tQ"
    parameters = mapping(w=tensor_v1(storage(8, view=b"N"), (8,)))
    state = mapping(_parameters=parameters, _buffers=b"}", _modules=b"}", names=b"](" + text("a") + b"e")
    read = read_checkpoint(legacy(tmp_path / "a.pt", kind + b")\x81" + state + b"b", ("0",), STORED))
    assert torch.equal(read.tensors["w"], VALUES)
    assert (read.kind, read.names) == ("module", ("a",))


def test_scalars_from_other_releases_of_numpy(tmp_path: Path) -> None:
    dtype = call("numpy.dtype", text("f8"), b"\x89", b"\x88") + b"(K\x03" + text("<") + b"NNN" + integer(-1) * 2
    dtype += b"K\0tb"
    items = {}
    for release in ("core", "_core"):
        content = call("_codecs.encode", text(struct.pack("<d", 0.625).decode("latin1")), text("latin1"))
        items[release] = call(f"numpy.{release}.multiarray.scalar", dtype, content)
    path = zipped(tmp_path / "a.pt", mapping(state_dict=mapping(w=tensor((8,), (1,))), **items))
    assert read_checkpoint(path).training == {"core": 0.625, "_core": 0.625}


def test_paths_from_windows_and_newer_pythons(tmp_path: Path) -> None:
    items = {
        "windows": call("pathlib.WindowsPath", text("C:\\"), text("runs"), text("exp")),
        "new": call("pathlib._local.PosixPath", text("/"), text("runs"), text("exp")),
    }
    path = zipped(tmp_path / "a.pt", mapping(state_dict=mapping(w=tensor((8,), (1,))), **items))
    assert read_checkpoint(path).training == {"windows": "C:\\runs\\exp", "new": "/runs/exp"}
