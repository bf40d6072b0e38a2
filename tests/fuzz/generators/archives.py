"""Zip archives: of torch with a valid pickle, and of public data sets."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from tests.fuzz.generators.containers import hostile_zip
from tests.helpers.checkpoints.crafted_pickles import GOOD_TENSOR, PROTOCOL, mapping

_WEIGHTS = {
    "a/data.pkl": PROTOCOL + mapping(w=GOOD_TENSOR) + b".",
    "a/byteorder": b"little",
    "a/data/0": struct.pack("<8f", *range(8)),
    "a/version": b"3\n",
}
_DATA = {"top/images/a.jpg": b"...", "top/images/b.jpg": b"....", "top/labels/a.txt": b"0 .5 .5 .1 .1"}


def write_torch_archive(random: Random, folder: Path) -> Path:
    """Write a weights file whose archive is hostile."""
    path = folder / "last.pt"
    path.write_bytes(hostile_zip(random, _WEIGHTS))
    return path


def write_data_archive(random: Random, folder: Path) -> Path:
    """Write an archive of images and labels that is hostile."""
    path = folder / "data.zip"
    path.write_bytes(hostile_zip(random, _DATA))
    return path
