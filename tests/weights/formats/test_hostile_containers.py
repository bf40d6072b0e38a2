"""Archives, and the format before them, that lie about what they hold: one clear error each."""

import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from tests.helpers.crafted_pickles import GOOD, integer, legacy, mapping, refused, storage, tensor, text, zipped


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
