"""Safetensors files: headers with hostile shapes, offsets, types, and metadata."""

from __future__ import annotations

import json
import struct
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch

import attendet
from attendet.models.yaml.model_file import read_model_file
from attendet.weights.io.model_card import ModelCard
from tests.fuzz.hostile_values import INTEGERS, integer
from tests.fuzz.mutations import mutate_bytes, mutate_value, sometimes
from tests.helpers.small_training import MODEL

_TYPES = ("F32", "F16", "BF16", "F64", "I64", "U64", "I8", "BOOL", "C64", "F8_E4M3", "F8_E8M0", "F4", "X", "")


def write_safetensors(random: Random, folder: Path) -> Path:
    """Write a safetensors file with a hostile header."""
    header, values = _valid_file()
    header = dict(header)
    _change_metadata(random, header)
    if sometimes(random, 0.5):
        _change_tensor(random, header)
    if sometimes(random, 0.3):
        header = mutate_value(random, header)
    content = json.dumps(header).encode("utf-8", "surrogatepass")
    if sometimes(random, 0.2):
        content = mutate_bytes(random, content)
    length = len(content) if sometimes(random, 0.95) else random.choice(INTEGERS) % 2**64
    if sometimes(random, 0.1):
        values = mutate_bytes(random, values)
    path = folder / "best.safetensors"
    path.write_bytes(struct.pack("<Q", length) + content + values)
    return path


@cache
def _valid_file() -> tuple[dict[str, Any], bytes]:
    """Return the header and the values of a file that attendet wrote: a detector with attached attention."""
    torch.manual_seed(0)
    detector = attendet.build(read_model_file(MODEL, "small"), num_classes=2)
    attendet.attach(detector, "se", at="model.1", reduction=2)
    card = ModelCard("small", MODEL, "auto", ("a", "b"), 64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "valid.safetensors")
        attendet.save_weights(detector, path, card)
        content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _change_metadata(random: Random, header: dict[str, Any]) -> None:
    """Change the model card or the description of attached attention, which are JSON inside JSON."""
    metadata = dict(header["__metadata__"])
    for key in ("card", "attention"):
        if sometimes(random, 0.4):
            value = mutate_value(random, json.loads(metadata[key]))
            metadata[key] = json.dumps(value)
    header["__metadata__"] = metadata


def _change_tensor(random: Random, header: dict[str, Any]) -> None:
    key = random.choice([key for key in header if key != "__metadata__"])
    shape = [integer(random) for _ in range(random.choice((0, 1, 2, 4, 40)))]
    offsets = random.choice((header[key]["data_offsets"], [integer(random), integer(random)]))
    changes = ({"dtype": random.choice(_TYPES)}, {"shape": shape}, {"data_offsets": offsets})
    header[key] = {**header[key], **random.choice(changes)}
