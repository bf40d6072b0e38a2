"""Files made to run code, to lie about sizes, or to take memory: one clear error each, and nothing happens."""

import os
import pickle
import random
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from attendet.checkpoints import read_checkpoint
from attendet.errors import WeightsError
from tests.checkpoints.crafted import (
    call,
    integer,
    legacy,
    mapping,
    module,
    name,
    storage,
    tensor,
    text,
    zipped,
)
from tests.checkpoints.foreign import checkpoint, save, yolov5

GOOD = tensor((2, 4), (4, 1))


class Runs:
    """Runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert caught.value.where is not None
    assert caught.value.where.file == str(path)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


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


def test_names_import_nothing(tmp_path: Path) -> None:
    # torch imports some of its parts when they are asked for, and `this` is imported by nobody.
    parts = {"w": GOOD, "x": name("this.s"), "y": name("this.Z") + b")\x81}b"}
    assert list(read_checkpoint(zipped(tmp_path / "a.pt", mapping(**parts))).tensors) == ["w"]
    lazy = tensor((1,), (1,), memory=storage(8, kind="torch._inductor"))
    before = set(sys.modules)
    assert "torch._inductor" in refused(zipped(tmp_path / "b.pt", mapping(w=lazy)))
    assert set(sys.modules) == before


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


def test_deflated_members(tmp_path: Path) -> None:
    bomb = {"0": bytes(50_000_000)}
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD), bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert "compressed" in refused(path)


def test_numbers_of_other_machines(tmp_path: Path) -> None:
    assert "big-endian" in refused(zipped(tmp_path / "a.pt", mapping(w=GOOD), more={"a/byteorder": b"big"}))
    assert "big-endian" in refused(legacy(tmp_path / "b.pt", mapping(w=GOOD), little_endian=False))


def test_other_archives(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # torch announces that its successor is torch.export.
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    assert "TorchScript" in refused(tmp_path / "script.pt")
    assert "not one of torch.save" in refused(zipped(tmp_path / "b.pt", mapping(w=GOOD), more={"b/data.pkl": b""}))
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as archive:
        archive.writestr("readme.txt", "none")
    assert "not one of torch.save" in refused(tmp_path / "c.pt")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a/data/0", bytes(32))
    assert "one name" in refused(path)


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        # Fields of the storage's entry in the list of members: flags, method, sizes, place.
        (8, struct.pack("<H", 1), "encrypted"),
        (10, struct.pack("<H", 99), "compressed"),
        (20, struct.pack("<I", 33), "compressed"),
        (20, struct.pack("<II", 2**31, 2**31), "reaches into another"),
        (20, struct.pack("<II", 33, 33), ""),
        (20, struct.pack("<II", 8, 8), "has 8 bytes where 32 are stated"),
        (42, struct.pack("<I", 0), "reaches into another"),
        (42, struct.pack("<I", 2**31), "reaches into another"),
        (16, struct.pack("<I", 1), "CRC"),
    ],
)
def test_a_list_of_members_that_lies(tmp_path: Path, offset: int, value: bytes, said: str) -> None:
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD))
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + offset : entry + offset + len(value)] = value
    path.write_bytes(content)
    assert said in refused(path)


def test_a_storage_that_is_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD), {"0": b"\x11" * 32})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x11" * 32, b"\x11" * 31 + b"\x10"))
    assert "CRC" in refused(path)


@pytest.mark.parametrize(
    ("keys", "storages"),
    [
        ((), b""),
        (("0",), b""),
        (("0",), struct.pack("<q", 8) + bytes(31)),
        (("0",), struct.pack("<q", 7) + bytes(32)),
        (("0",), struct.pack("<q", 2**62) + bytes(32)),
        (("0",), struct.pack("<q", -1) + bytes(32)),
        (("0", "0"), (struct.pack("<q", 8) + bytes(32)) * 2),
        (("1",), struct.pack("<q", 8) + bytes(32)),
        ((["0"],), struct.pack("<q", 8) + bytes(32)),
        (5, struct.pack("<q", 8) + bytes(32)),
    ],
)
def test_storages_of_the_old_format_that_lie(tmp_path: Path, keys, storages: bytes) -> None:
    old = tensor((2, 4), (4, 1), memory=storage(8, view=b"N"))
    refused(legacy(tmp_path / "a.pt", mapping(w=old), keys, storages))


@pytest.mark.parametrize("view", [(0, 9), (1, 8), (9, 0), (2**62, 2**62), (-1, 4)])
def test_views_of_the_old_format_that_lie(tmp_path: Path, view: tuple[int, int]) -> None:
    memory = storage(8, view=b"(" + text("v") + integer(view[0]) + integer(view[1]) + b"t")
    old = tensor((0,), (1,), memory=memory)
    refused(legacy(tmp_path / "a.pt", mapping(w=old), ("0",), struct.pack("<q", 8) + bytes(32)))


def test_other_pickles(tmp_path: Path) -> None:
    for protocol in (2, 4, 5):
        (tmp_path / "a.pt").write_bytes(pickle.dumps({"w": 1}, protocol))
        assert "not one of torch.save" in refused(tmp_path / "a.pt")


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_a_file_cut_anywhere(tmp_path: Path, zip_format: bool) -> None:
    whole = save(checkpoint(yolov5()), tmp_path / "whole.pt", zipped=zip_format).read_bytes()
    cut = tmp_path / "cut.pt"
    for length in (*range(40), *range(40, len(whole), len(whole) // 150), len(whole) - 1):
        cut.write_bytes(whole[:length])
        refused(cut)


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_files_with_flipped_bits_end_in_our_error_or_none(tmp_path: Path, zip_format: bool) -> None:
    chosen = random.Random(0)  # noqa: S311 (damage, not secrets)
    state = {"state_dict": yolov5().state_dict(), "opt": {"a": [1, 2.5, None, "x", Path("a")]}, "epoch": 3}
    whole = save(state, tmp_path / "whole.pt", zipped=zip_format).read_bytes()
    path, refusals = tmp_path / "flipped.pt", 0
    # The list of members stands at the end, the pickle near the start.
    places = (*range(4000), *range(max(4000, len(whole) - 3000), len(whole)))
    for _ in range(400):
        content = bytearray(whole)
        for place in chosen.sample(places, chosen.choice((1, 3))):
            content[place] ^= 1 << chosen.randrange(8)
        path.write_bytes(content)
        try:
            read_checkpoint(path)
        except WeightsError:
            refusals += 1
    assert refusals > 100


def test_pickles_with_damaged_opcodes_end_in_our_error_or_none(tmp_path: Path) -> None:
    # Without a container whose checksums would catch it first.
    chosen = random.Random(0)  # noqa: S311 (damage, not secrets)
    with zipfile.ZipFile(save(checkpoint(yolov5()), tmp_path / "whole.pt")) as archive:
        members = {member.partition("/")[2]: archive.read(member) for member in archive.namelist()}
    program = members.pop("data.pkl")[2:-1]
    storages = {key.removeprefix("data/"): value for key, value in members.items() if key.startswith("data/")}
    outcomes = {"read": 0, "refused": 0}
    for _ in range(150):
        content = bytearray(program)
        for _ in range(chosen.choice((1, 2, 5))):
            at = chosen.randrange(len(content))
            content[at : at + chosen.choice((0, 1, 1, 2))] = chosen.randbytes(chosen.choice((0, 1, 1, 2)))
        path = zipped(tmp_path / "a.pt", bytes(content), storages)
        try:
            read_checkpoint(path)
            outcomes["read"] += 1
        except WeightsError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


# Address space is limited to what reading an honest file took and half a gigabyte; beyond it memory is refused.
READ_ALL = """
import resource, sys
from attendet.checkpoints import read_checkpoint
from attendet.errors import WeightsError
read_checkpoint(sys.argv[1])
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2**29
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    bytearray(2**30)
except MemoryError:
    print("limited")
for path in sys.argv[2:]:
    try:
        read_checkpoint(path)
        print("read")
    except WeightsError as error:
        print("refused:", error.what)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is limited in Linux' way")
def test_memory_is_bounded(tmp_path: Path) -> None:
    """Each of these files of a few megabytes asks for gigabytes."""
    huge = struct.pack("<Q", 2**40)
    word = text("a" * 1_000_000) + b"q\x01"
    copied = b"](" + b"N" * 1000 + b"eq\x01c__builtin__\nset\nq\x02"
    encoded = word + text("latin1") + b"q\x03c_codecs\nencode\nq\x02"
    leaf = module(parameters=mapping(w=GOOD)) + b"q\x01"
    wide = b"}(" + b"".join(text(f"{number}") + b"h\x01" for number in range(1000)) + b"u"
    programs = {
        "bytearray": b"\x96" + huge,
        "text": b"\x8d" + huge,
        "bytes": b"\x8e" + huge,
        "number": b"\x8b" + struct.pack("<i", 2**31 - 1),
        "dicts": b"}" * 16_000_000,
        "copies": copied + b"h\x02h\x01\x85R" * 200_000,
        "encodings": encoded + b"h\x02h\x01h\x03\x86R" * 5_000,
        "modules": leaf + b"0" + module(wide) + b"q\x01" + b"0" + module(wide) + b"q\x01" + b"0" + module(wide),
        "zeros": mapping(w=tensor((2**20, 2**20), (0, 0))),
        "storage": mapping(w=tensor((8,), (1,), held=2**40)),
        "frame": b"\x95" + huge + mapping(w=GOOD),
        "memo": mapping(w=GOOD, x=b"Nr\xff\xff\xff\xff"),
        "training": mapping(state_dict=mapping(w=GOOD), x=b"(" + word + b"h\x01" * 100_000 + b"l"),
    }
    paths = [zipped(tmp_path / label, program) for label, program in programs.items()]
    long_list = _with_long_list(zipped(tmp_path / "members", mapping(w=GOOD)))
    old = tensor((2**40,), (1,), memory=storage(2**40, view=b"N"))
    lying = legacy(tmp_path / "legacy", mapping(w=old), ("0",), struct.pack("<q", 2**40) + bytes(32))
    honest = zipped(tmp_path / "honest", mapping(w=GOOD))
    command = [sys.executable, "-c", READ_ALL, *map(str, (honest, *paths, long_list, lying))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert not done.stderr
    limited, *outcomes = done.stdout.splitlines()
    assert limited == "limited"
    told = dict(zip([*programs, "members", "legacy"], outcomes, strict=True))
    assert told["members"] == "refused: its list of members is longer than those of models are"
    assert [label for label, outcome in told.items() if outcome == "read"] == ["frame", "memo", "training"]


def _with_long_list(path: Path) -> Path:
    """Repeat an archive's list of members far beyond what models have."""
    content = path.read_bytes()
    start, end = content.find(b"PK\x01\x02"), content.rfind(b"PK\x05\x06")
    listed = content[start:end] * 100_000
    last = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(listed), start, 0)
    path.write_bytes(content[:start] + listed + last)
    return path
