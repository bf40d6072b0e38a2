"""Small files that declare gigabytes are refused before memory is allocated."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.checkpoints.crafted_pickles import (
    GOOD_TENSOR,
    legacy,
    mapping,
    module,
    storage,
    tensor,
    text,
    zipped,
)

# The address space is limited to the need of a valid file plus half a gigabyte.
READ_ALL = """
import resource, sys
from attendet.weights import read_checkpoint
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
        print("refused:", error.message)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs /proc, as on Linux")
def test_memory_is_limited(tmp_path: Path) -> None:
    """Each file has at most a few megabytes and declares gigabytes."""
    huge = struct.pack("<Q", 2**40)
    long_text = text("a" * 1_000_000) + b"q\x01"
    copied = b"](" + b"N" * 1000 + b"eq\x01c__builtin__\nset\nq\x02"
    encoded = long_text + text("latin1") + b"q\x03c_codecs\nencode\nq\x02"
    leaf = module(parameters=mapping(w=GOOD_TENSOR)) + b"q\x01"
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
        "storage": mapping(w=tensor((8,), (1,), stored=2**40)),
        "frame": b"\x95" + huge + mapping(w=GOOD_TENSOR),
        "memo": mapping(w=GOOD_TENSOR, x=b"Nr\xff\xff\xff\xff"),
        "training": mapping(state_dict=mapping(w=GOOD_TENSOR), x=b"(" + long_text + b"h\x01" * 100_000 + b"l"),
    }
    paths = [zipped(tmp_path / label, program) for label, program in programs.items()]
    long_directory = _with_long_directory(zipped(tmp_path / "members", mapping(w=GOOD_TENSOR)))
    old = tensor((2**40,), (1,), storage_id=storage(2**40, view=b"N"))
    false_size = legacy(tmp_path / "legacy", mapping(w=old), ("0",), struct.pack("<q", 2**40) + bytes(32))
    valid = zipped(tmp_path / "valid", mapping(w=GOOD_TENSOR))
    command = [sys.executable, "-c", READ_ALL, *map(str, (valid, *paths, long_directory, false_size))]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert not process.stderr
    limited, *outcomes = process.stdout.splitlines()
    assert limited == "limited"
    outcome_of = dict(zip([*programs, "members", "legacy"], outcomes, strict=True))
    assert outcome_of["members"] == "refused: the directory of the archive has more than 8,388,608 bytes"
    assert [label for label, outcome in outcome_of.items() if outcome == "read"] == ["frame", "training"]


def _with_long_directory(path: Path) -> Path:
    """Repeat the directory of an archive, far beyond the size that models need."""
    content = path.read_bytes()
    start, end = content.find(b"PK\x01\x02"), content.rfind(b"PK\x05\x06")
    directory = content[start:end] * 100_000
    last = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(directory), start, 0)
    path.write_bytes(content[:start] + directory + last)
    return path
