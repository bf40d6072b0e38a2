"""Archives and legacy files with false sizes and positions are refused with one clear error each."""

import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints.crafted_pickles import (
    GOOD_TENSOR,
    integer,
    legacy,
    mapping,
    refusal,
    storage,
    tensor,
    text,
    zipped,
)


def test_compressed_members(tmp_path: Path) -> None:
    bomb = {"0": bytes(50_000_000)}
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR), bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert "compressed" in refusal(path)


def test_big_endian_numbers(tmp_path: Path) -> None:
    assert "big-endian" in refusal(zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR), more={"a/byteorder": b"big"}))
    assert "big-endian" in refusal(legacy(tmp_path / "b.pt", mapping(w=GOOD_TENSOR), little_endian=False))


def test_other_archives(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # torch.jit warns that it is deprecated.
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    assert "TorchScript" in refusal(tmp_path / "script.pt")
    assert "zip archive that torch.save did not write" in refusal(
        zipped(tmp_path / "b.pt", mapping(w=GOOD_TENSOR), more={"b/data.pkl": b""})
    )
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as archive:
        archive.writestr("readme.txt", "none")
    assert "zip archive that torch.save did not write" in refusal(tmp_path / "c.pt")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a/data/0", bytes(32))
    assert "same name" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        # Fields of the storage's entry in the directory: flags, method, sizes, position.
        (8, struct.pack("<H", 1), "encrypted"),
        (10, struct.pack("<H", 99), "compressed"),
        (20, struct.pack("<I", 33), "compressed"),
        (20, struct.pack("<II", 2**31, 2**31), "overlaps another member"),
        (20, struct.pack("<II", 33, 33), ""),
        (20, struct.pack("<II", 8, 8), "must have 32 bytes, got 8"),
        (42, struct.pack("<I", 0), "overlaps another member"),
        (42, struct.pack("<I", 2**31), "overlaps another member"),
        (16, struct.pack("<I", 1), "CRC"),
    ],
)
def test_a_directory_with_false_entries(tmp_path: Path, offset: int, value: bytes, message: str) -> None:
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR))
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + offset : entry + offset + len(value)] = value
    path.write_bytes(content)
    assert message in refusal(path)


def test_a_damaged_storage(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR), {"0": b"\x11" * 32})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x11" * 32, b"\x11" * 31 + b"\x10"))
    assert "CRC" in refusal(path)


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
def test_legacy_storages_with_false_sizes(tmp_path: Path, keys, storages: bytes) -> None:
    old = tensor((2, 4), (4, 1), storage_id=storage(8, view=b"N"))
    refusal(legacy(tmp_path / "a.pt", mapping(w=old), keys, storages))


@pytest.mark.parametrize("view", [(0, 9), (1, 8), (9, 0), (2**62, 2**62), (-1, 4)])
def test_legacy_views_outside_their_storage(tmp_path: Path, view: tuple[int, int]) -> None:
    storage_id = storage(8, view=b"(" + text("v") + integer(view[0]) + integer(view[1]) + b"t")
    old = tensor((0,), (1,), storage_id=storage_id)
    refusal(legacy(tmp_path / "a.pt", mapping(w=old), ("0",), struct.pack("<q", 8) + bytes(32)))


def test_pickles_that_torch_did_not_write(tmp_path: Path) -> None:
    for protocol in (2, 4, 5):
        (tmp_path / "a.pt").write_bytes(pickle.dumps({"w": 1}, protocol))
        assert "pickle that torch.save did not write" in refusal(tmp_path / "a.pt")
