"""Tensors of unusual types and impossible shapes work, or are refused by name; pipes and devices never block."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attendet import load_weights
from attendet.errors import OutputError, WeightsError
from attendet.weights import read_checkpoint
from attendet.weights.io.saving import write_tensors
from tests.helpers.checkpoints.crafted_pickles import refusal

VALUES = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
WORKING = [
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float8_e4m3fn",
    "float8_e5m2",
]


def handmade(path: Path, **tensors: dict[str, object]) -> Path:
    """Write a safetensors file with any header, and four bytes of data."""
    header = json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    return path


def entry(dtype: str, shape: list[int], start: int = 0, end: int = 4) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_types_that_torch_converts_are_loaded(tmp_path: Path, dtype: str, suffix: str) -> None:
    tensors = {"0.weight": VALUES.to(getattr(torch, dtype))}
    path = tmp_path / f"a.{suffix}"
    save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)
    network = nn.Sequential(nn.Linear(2, 2, bias=False))
    load_weights(network, path)
    assert torch.equal(network.state_dict()["0.weight"], VALUES)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_complex_numbers_are_not_reduced_to_their_real_parts(tmp_path: Path, suffix: str) -> None:
    tensors = {"0.weight": VALUES.to(torch.complex64)}
    path = tmp_path / f"a.{suffix}"
    save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)
    network = nn.Sequential(nn.Linear(2, 2, bias=False))
    with pytest.raises(WeightsError, match=r"must be real numbers, got torch\.complex64 in 0\.weight"):
        load_weights(network, path)


def test_a_type_that_safetensors_lacks_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"safetensors files have no tensors of the type complex128"):
        write_tensors({"w": VALUES.to(torch.complex128)}, tmp_path / "a.safetensors", None, ())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([2**63, 0], r"w: a tensor without elements has the impossible shape \(9223372036854775808, 0\)"),
        ([2**62, 0, 4], "impossible shape"),
        ([0, 2**40], "impossible shape"),
        ([2**32, 2**32], "damaged"),
        ([-1], "damaged"),
        ([1.5], "damaged"),
        ([0] + [1] * 1000, "w: a tensor has 1,001 axes, more than 16"),
    ],
)
def test_impossible_shapes_in_safetensors(tmp_path: Path, shape: list[int], message: str) -> None:
    path = handmade(tmp_path / "a.safetensors", w=entry("F32", shape, end=0), x=entry("F32", [1]))
    with pytest.raises(WeightsError, match=message) as caught:
        read_checkpoint(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": entry("F32", [1]), "x": entry("F32", [1])},
        {"w": entry("F32", [2], end=8)},
        {"w": entry("F32", [1], 2**63, 2**63 + 4)},
        {"w": entry("Q9", [4])},
        {"w" * 501: entry("F32", [1])},
        {"w": entry("F4", [8])},
        {},
    ],
    ids=["overlap", "outside", "far outside", "unknown type", "long key", "half bytes", "nothing"],
)
def test_impossible_entries_in_safetensors(tmp_path: Path, tensors: dict[str, dict[str, object]]) -> None:
    assert len(refusal(handmade(tmp_path / "a.safetensors", **tensors))) < 500


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_folders_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    (tmp_path / "b.pt").symlink_to("/dev/zero")
    for path, kind in ((tmp_path / "a.pt", "a pipe"), (tmp_path / "b.pt", "a device"), (tmp_path, "a folder")):
        assert refusal(path) == f"{path}: the path must be a regular file, got {kind}"
