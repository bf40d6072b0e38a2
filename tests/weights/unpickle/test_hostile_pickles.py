"""Pickles made to run code, to lie about sizes, or to mean far more than they hold: one clear error each."""

import os
import struct
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from attendet.weights import read_checkpoint
from tests.helpers.crafted_pickles import (
    GOOD,
    call,
    integer,
    legacy,
    mapping,
    module,
    name,
    refused,
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


def test_what_the_tests_craft_is_read_where_it_is_honest(tmp_path: Path) -> None:
    values = struct.pack("<8f", *range(8))
    expected = torch.arange(8.0).reshape(2, 4)
    read = read_checkpoint(zipped(tmp_path / "a", mapping(w=GOOD), {"0": values}))
    assert torch.equal(read.tensors["w"], expected)
    old = tensor((2, 4), (4, 1), memory=storage(8, view=b"N"))
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
def test_a_call_is_refused_by_its_name(tmp_path: Path, zip_format: bool, place) -> None:
    marker = tmp_path / "marker"
    hostile = Runs(f"touch {marker}")
    torch.save(place(hostile), tmp_path / "a.pt", _use_new_zipfile_serialization=zip_format)
    assert "posix.system" in refused(tmp_path / "a.pt")
    assert not marker.exists()


def test_the_marker_would_appear(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.save(Runs(f"touch {marker}"), tmp_path / "a.pt")
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    ("program", "said"),
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
        # A name of two lines' length, and one that a terminal would obey.
        (call("os." + "a" * 1000), "no class is named"),
        (call("os.\x1b[2J"), "os.?[2J"),
        # What is described is not called either.
        (call("functools.partial", name("os.system")) + text("true") + b"\x85R", "calls what is no function"),
        (name("os.system") + b")\x81" + b")R", "calls what is no function"),
        # The opcodes that make objects in older ways, and those that ask a registry or another buffer.
        (b"(" + text("true") + b"ios\nsystem\n", "INST"),
        (b"(" + name("os.system") + text("true") + b"o", "OBJ"),
        (b"\x82\x01", "EXT1"),
        (b"\x84\x01\0\0\0", "EXT4"),
        (b"\x97", "NEXT_BUFFER"),
        (b"Pid\n", "PERSID"),
    ],
)
def test_all_ways_to_run_something_are_refused(tmp_path: Path, program: bytes, said: str) -> None:
    assert said in refused(zipped(tmp_path / "a.pt", mapping(w=GOOD, x=program)))


def test_names_import_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By itself and as a part of torch, some of whose parts are imported when they are asked for.
    (tmp_path / "never_asked_for.py").write_text("s, Z = 'text', object\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch, "__path__", [*torch.__path__, str(tmp_path)])
    parts = {"w": GOOD, "x": name("never_asked_for.s"), "y": name("never_asked_for.Z") + b")\x81}b"}
    assert list(read_checkpoint(zipped(tmp_path / "a.pt", mapping(**parts))).tensors) == ["w"]
    lazy = tensor((1,), (1,), memory=storage(8, kind="torch.never_asked_for"))
    assert "torch.never_asked_for" in refused(zipped(tmp_path / "b.pt", mapping(w=lazy)))
    assert not [imported for imported in sys.modules if "never_asked_for" in imported]
    assert all(find_spec(each) for each in ("never_asked_for", "torch.never_asked_for")), "they could be imported"


@pytest.mark.parametrize(
    ("size", "stride", "offset", "held"),
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
def test_tensors_lie_inside_of_their_storage(tmp_path: Path, size, stride, offset: int, held: int) -> None:
    refused(zipped(tmp_path / "a.pt", mapping(w=tensor(size, stride, offset, held))))


@pytest.mark.parametrize(
    "program",
    [
        call("torch._utils._rebuild_tensor_v2", b"N", b"K\0", b")", b")", b"\x89", b"}"),
        call("torch._utils._rebuild_tensor_v2", storage(8), text("0"), b")", b")", b"\x89", b"}"),
        call("torch._utils._rebuild_tensor_v2", storage(8), b"K\0", b"]", b"]", b"\x89", b"}"),
        call("torch._utils._rebuild_tensor_v2", storage(8)),
        call("torch._utils._rebuild_parameter", text("no tensor"), b"\x88", b"}"),
        tensor((1,), (1,), memory=storage(8, key="none")),
        tensor((1,), (1,), memory=storage(8, kind="torch.QInt8Storage")),
        tensor((1,), (1,), memory=storage(8, kind="os.FloatStorage")),
        tensor((1,), (1,), memory=b"(" + text("file") + b"NNNNtQ"),
        tensor((1,), (1,), memory=b"NQ"),
        storage(8),
    ],
)
def test_tensors_that_are_described_wrongly(tmp_path: Path, program: bytes) -> None:
    refused(zipped(tmp_path / "a.pt", mapping(w=program)))


def test_kinds_of_tensors_that_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "a.pt")
    assert "sparse tensor" in refused(tmp_path / "a.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, tmp_path / "b.pt")
    assert "quantized tensor" in refused(tmp_path / "b.pt")
    torch.save({"w": torch.ones(3, dtype=torch.complex64).conj()}, tmp_path / "c.pt")
    assert "conjugated" in refused(tmp_path / "c.pt")


def test_modules_that_contain_each_other(tmp_path: Path) -> None:
    cycle = module()[:-1].replace(b")\x81", b")\x81q\x01", 1)
    cycle = cycle.replace(text("_modules") + b"}", text("_modules") + mapping(a=b"h\x01")) + b"b"
    assert "contain each other" in refused(zipped(tmp_path / "a.pt", cycle))


def test_a_small_file_that_means_many_modules(tmp_path: Path) -> None:
    laughs = module(parameters=mapping(w=GOOD))
    for number in range(1, 40):
        laughs += b"q" + bytes([number]) + b"0" + module(mapping(a=b"h" + bytes([number]), b=b"h" + bytes([number])))
    assert "more modules than models have" in refused(zipped(tmp_path / "a.pt", laughs))


def test_a_small_file_that_means_many_tensors(tmp_path: Path) -> None:
    count = 1000
    shared = b"}(" + text("w") + GOOD + b"q\x01" + b"".join(text(str(i)) + b"h\x01" for i in range(count)) + b"u"
    path = zipped(tmp_path / "a.pt", shared, {"0": bytes(32)})
    assert len(read_checkpoint(path).tensors) == count + 1
    big = shared.replace(GOOD, tensor((10_000,), (1,), held=10_000))
    assert "share their memory" in refused(zipped(tmp_path / "b.pt", big, {"0": bytes(40_000)}))


def test_values_that_contain_themselves_are_left_out(tmp_path: Path) -> None:
    endless = b"]q\x01h\x01a"
    deep = b"]" * 100_000 + b"a" * 99_999
    records = name("a.A") + b")\x81" + (name("a.A") + b")\x81") * 50_000 + b"b" * 50_000
    laughs = text("ha" * 100)
    for number in range(1, 30):
        laughs += b"q" + bytes([number]) + b"0](" + (b"h" + bytes([number])) * 10 + b"e"
    items = {"state_dict": mapping(w=GOOD), "a": endless, "b": deep, "c": records, "d": laughs, "epoch": b"K\x03"}
    read = read_checkpoint(zipped(tmp_path / "a.pt", mapping(**items)))
    assert read.training == {"epoch": 3}


def test_keys_that_are_slow_to_hash_are_refused(tmp_path: Path) -> None:
    for key in (b")" + b"\x85" * 200_000, integer(2**100_000), b"(" + b"N" * 1000 + b"t", b"]", b"}"):
        assert "its pickle is damaged" in refused(zipped(tmp_path / "a.pt", mapping(w=GOOD, x=b"}" + key + b"Ns")))
