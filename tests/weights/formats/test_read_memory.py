"""Small files that ask for gigabytes: refused before any are taken."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.crafted_pickles import GOOD, legacy, mapping, module, storage, tensor, text, zipped

# Address space is limited to what reading an honest file took and half a gigabyte; beyond it memory is refused.
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
