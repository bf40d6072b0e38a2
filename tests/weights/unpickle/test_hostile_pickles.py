"""Pickles that try to run code, declare false sizes, or expand far beyond the file: one clear error each."""

import os
import struct
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.crafted_pickles import (
    GOOD_TENSOR,
    call,
    integer,
    legacy,
    mapping,
    module,
    name,
    refusal,
    storage,
    tensor,
    text,
    zipped,
)


class Runs:
    """Runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_valid_crafted_files_are_read(tmp_path: Path) -> None:
    values = struct.pack("<8f", *range(8))
    expected = torch.arange(8.0).reshape(2, 4)
    read = read_checkpoint(zipped(tmp_path / "a", mapping(w=GOOD_TENSOR), {"0": values}))
    assert torch.equal(read.tensors["w"], expected)
    old = tensor((2, 4), (4, 1), storage_id=storage(8, view=b"N"))
    read = read_checkpoint(legacy(tmp_path / "b", mapping(w=old), ("0",), struct.pack("<q", 8) + values))
    assert torch.equal(read.tensors["w"], expected)


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "place",
    [
        lambda hostile: hostile,
        lambda hostile: {"model": torch.ones(1), "hyp": hostile},
        lambda hostile: {"state_dict": {"w": torch.ones(1)}, "deep": [({"a": hostile},)]},
        lambda hostile: {hostile: 1},
    ],
)
def test_a_refused_call_is_named(tmp_path: Path, zip_format: bool, place) -> None:
    marker = tmp_path / "marker"
    hostile = Runs(f"touch {marker}")
    torch.save(place(hostile), tmp_path / "a.pt", _use_new_zipfile_serialization=zip_format)
    assert "posix.system" in refusal(tmp_path / "a.pt")
    assert not marker.exists()


def test_torch_would_run_the_command(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.save(Runs(f"touch {marker}"), tmp_path / "a.pt")
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (call("builtins.eval", text("1")), "builtins.eval"),
        (call("__builtin__.exec", text("1")), "__builtin__.exec"),
        (call("builtins.getattr", name("os.path"), text("os")), "builtins.getattr"),
        (call("builtins.__import__", text("os")), "builtins.__import__"),
        (call("operator.attrgetter", text("system")), "operator.attrgetter"),
        (call("torch.storage._load_from_bytes", b"C\x02.."), "torch.storage._load_from_bytes"),
        (call("torch.load", text("a")), "torch.load"),
        (call("pickle.loads", b"C\x01."), "pickle.loads"),
        (call("models.yolo.Model", text("a")), "models.yolo.Model"),
        # A very long name, and a name with a control sequence.
        (call("os." + "a" * 1000), "must be a string of at most 200 characters"),
        (call("os.\x1b[2J"), "os.?[2J"),
        # Placeholders cannot be called either.
        (
            call("functools.partial", name("os.system")) + text("true") + b"\x85R",
            "calls something that is not a function",
        ),
        (name("os.system") + b")\x81" + b")R", "calls something that is not a function"),
        # Opcodes of old protocols that create objects, and opcodes that use a registry or another buffer.
        (b"(" + text("true") + b"ios\nsystem\n", "INST"),
        (b"(" + name("os.system") + text("true") + b"o", "OBJ"),
        (b"\x82\x01", "EXT1"),
        (b"\x84\x01\0\0\0", "EXT4"),
        (b"\x97", "NEXT_BUFFER"),
        (b"Pid\n", "PERSID"),
    ],
)
def test_all_ways_to_run_something_are_refused(tmp_path: Path, program: bytes, message: str) -> None:
    assert message in refusal(zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR, x=program)))


def test_names_are_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module of its own, and a submodule of torch, which imports some submodules on attribute access.
    (tmp_path / "never_imported.py").write_text("s, Z = 'text', object\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch, "__path__", [*torch.__path__, str(tmp_path)])
    parts = {"w": GOOD_TENSOR, "x": name("never_imported.s"), "y": name("never_imported.Z") + b")\x81}b"}
    assert list(read_checkpoint(zipped(tmp_path / "a.pt", mapping(**parts))).tensors) == ["w"]
    lazy = tensor((1,), (1,), storage_id=storage(8, kind="torch.never_imported"))
    assert "torch.never_imported" in refusal(zipped(tmp_path / "b.pt", mapping(w=lazy)))
    assert not [imported for imported in sys.modules if "never_imported" in imported]
    assert all(find_spec(each) for each in ("never_imported", "torch.never_imported")), "they could be imported"


@pytest.mark.parametrize(
    ("size", "stride", "offset", "stored"),
    [
        ((3, 4), (4, 1), 0, 8),
        ((2, 4), (4, 1), 1, 8),
        ((2, 4), (5, 1), 0, 8),
        ((1000, 1000), (0, 0), 0, 8),
        ((9,), (0,), 0, 8),
        ((2**40,), (1,), 0, 8),
        ((2**31, 2**31, 4), (1, 1, 1), 0, 8),
        ((1,), (1,), 2**62, 8),
        ((2,), (2**62,), 0, 8),
        ((0, 2**62), (1, 1), 0, 8),
        ((8,), (-1,), 7, 8),
        ((-8,), (1,), 0, 8),
        ((8,), (1,), -1, 8),
        ((2**70,), (1,), 0, 8),
        ((8,), (1, 1), 0, 8),
        ((1,) * 17, (1,) * 17, 0, 8),
        ((8,), (1,), 0, 9),
        ((8,), (1,), 0, 2**40),
        ((8,), (1,), 0, -8),
        ((0,), (1,), 0, 2**62),
        ((0,), (1,), 2**62, 8),
    ],
)
def test_tensors_that_do_not_fit_into_their_storage(tmp_path: Path, size, stride, offset: int, stored: int) -> None:
    refusal(zipped(tmp_path / "a.pt", mapping(w=tensor(size, stride, offset, stored))))


@pytest.mark.parametrize(
    "program",
    [
        call("torch._utils._rebuild_tensor_v2", b"N", b"K\0", b")", b")", b"\x89", b"}"),
        call("torch._utils._rebuild_tensor_v2", storage(8), text("0"), b")", b")", b"\x89", b"}"),
        call("torch._utils._rebuild_tensor_v2", storage(8), b"K\0", b"]", b"]", b"\x89", b"}"),
        call("torch._utils._rebuild_tensor_v2", storage(8)),
        call("torch._utils._rebuild_parameter", text("not a tensor"), b"\x88", b"}"),
        tensor((1,), (1,), storage_id=storage(8, key="none")),
        tensor((1,), (1,), storage_id=storage(8, kind="torch.QInt8Storage")),
        tensor((1,), (1,), storage_id=storage(8, kind="os.FloatStorage")),
        tensor((1,), (1,), storage_id=b"(" + text("file") + b"NNNNtQ"),
        tensor((1,), (1,), storage_id=b"NQ"),
        storage(8),
    ],
)
def test_invalid_tensors(tmp_path: Path, program: bytes) -> None:
    refusal(zipped(tmp_path / "a.pt", mapping(w=program)))


def test_unsupported_kinds_of_tensors_are_named(tmp_path: Path) -> None:
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "a.pt")
    assert "sparse tensor" in refusal(tmp_path / "a.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, tmp_path / "b.pt")
    assert "quantized tensor" in refusal(tmp_path / "b.pt")
    torch.save({"w": torch.ones(3, dtype=torch.complex64).conj()}, tmp_path / "c.pt")
    assert "conjugation" in refusal(tmp_path / "c.pt")


def test_modules_that_contain_each_other(tmp_path: Path) -> None:
    cycle = module()[:-1].replace(b")\x81", b")\x81q\x01", 1)
    cycle = cycle.replace(text("_modules") + b"}", text("_modules") + mapping(a=b"h\x01")) + b"b"
    assert "contain each other" in refusal(zipped(tmp_path / "a.pt", cycle))


def test_a_small_file_that_expands_to_many_modules(tmp_path: Path) -> None:
    bomb = module(parameters=mapping(w=GOOD_TENSOR))
    for number in range(1, 40):
        bomb += b"q" + bytes([number]) + b"0" + module(mapping(a=b"h" + bytes([number]), b=b"h" + bytes([number])))
    assert "more than 100,000 entries" in refusal(zipped(tmp_path / "a.pt", bomb))


def test_a_small_file_that_expands_to_many_tensors(tmp_path: Path) -> None:
    count = 1000
    shared = b"}(" + text("w") + GOOD_TENSOR + b"q\x01" + b"".join(text(str(i)) + b"h\x01" for i in range(count)) + b"u"
    path = zipped(tmp_path / "a.pt", shared, {"0": bytes(32)})
    assert len(read_checkpoint(path).tensors) == count + 1
    big = shared.replace(GOOD_TENSOR, tensor((10_000,), (1,), stored=10_000))
    assert "over 16 times as large as the file" in refusal(zipped(tmp_path / "b.pt", big, {"0": bytes(40_000)}))


def test_recursive_values_are_skipped(tmp_path: Path) -> None:
    endless = b"]q\x01h\x01a"
    deep = b"]" * 100_000 + b"a" * 99_999
    objects = name("a.A") + b")\x81" + (name("a.A") + b")\x81") * 50_000 + b"b" * 50_000
    bomb = text("ha" * 100)
    for number in range(1, 30):
        bomb += b"q" + bytes([number]) + b"0](" + (b"h" + bytes([number])) * 10 + b"e"
    items = {
        "state_dict": mapping(w=GOOD_TENSOR),
        "a": endless,
        "b": deep,
        "c": objects,
        "d": bomb,
        "epoch": b"K\x03",
    }
    read = read_checkpoint(zipped(tmp_path / "a.pt", mapping(**items)))
    assert read.training == {"epoch": 3}


def test_keys_that_are_slow_to_hash_are_refused(tmp_path: Path) -> None:
    for key in (b")" + b"\x85" * 200_000, integer(2**100_000), b"(" + b"N" * 1000 + b"t", b"]", b"}"):
        assert "the pickle is damaged" in refusal(
            zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR, x=b"}" + key + b"Ns"))
        )
