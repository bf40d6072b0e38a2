"""Keys that a file chose to have one hash do not make reading it slow."""

import itertools
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.crafted_pickles import GOOD_TENSOR, mapping, name, text, zipped

MODULUS = 2**61 - 1
# Integers and floats that Python hashes to 1: the hash of a number is the number modulo MODULUS.
EQUAL = [*(1 + MODULUS * factor for factor in range(2, 8)), *(2.0 ** (61 * power) for power in range(-16, 17) if power)]
KEYS = list(itertools.islice(itertools.product(EQUAL, repeat=3), 40_000))
SECONDS = 30  # of CPU time for all files; the files take minutes if every key is compared with all others
READ_ALL = """
import resource, sys
from attendet.errors import WeightsError
from attendet.weights import read_checkpoint
read_checkpoint(sys.argv[2])
used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
resource.setrlimit(resource.RLIMIT_CPU, (used + int(sys.argv[1]),) * 2)
for path in sys.argv[2:]:
    try:
        read_checkpoint(path)
        print("read")
    except WeightsError as error:
        print(error.message)
"""


def test_the_keys_of_this_test_have_one_hash() -> None:
    assert len({hash(key) for key in KEYS}) == 1
    assert len(set(KEYS[:1_000])) == 1_000


def items(keys: list[tuple[float, ...]]) -> bytes:
    """Return the opcodes that set items of the mapping on the stack."""
    return b"(" + b"".join(pickle.dumps(key, 2)[2:-1].replace(b"q\x00", b"") + b"N" for key in keys) + b"u"


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the time of a process")
def test_the_time_is_limited(tmp_path: Path) -> None:
    pairs = b"](" + b"".join(pickle.dumps(key, 2)[2:-1].replace(b"q\x00", b"") + b"N\x86" for key in KEYS) + b"e"
    few = items(KEYS[:8_000])
    ordered = name("collections.OrderedDict") + b"q\x02"
    one_key = pickle.dumps(KEYS[7_999], 2)[2:-1].replace(b"q\x00", b"")
    # The memo has the indices 2**20 and above only: each could take the place of another one.
    memo = b"".join(b"N" + b"r" + struct.pack("<I", number << 12) + b"0" for number in range(100_000))
    programs = {
        "valid": b"}",
        "mapping": b"}" + items(KEYS),
        "one by one": b"}" + b"".join(items([key]) for key in KEYS),
        "pairs": name("collections.OrderedDict") + b"(" + pairs + b"tR",
        "copies": ordered + b"0}" + few + b"q\x03" + b"0]" + b"h\x02(h\x03tRa" * 2_000,
        "one key again": b"}" + few + (b"(" + one_key + b"Nu") * 100_000,
        "memo": memo + b"N",
    }
    paths = [zipped(tmp_path / label, mapping(w=GOOD_TENSOR, x=program)) for label, program in programs.items()]
    command = [sys.executable, "-c", READ_ALL, str(SECONDS), *map(str, paths)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert not process.stderr
    outcomes = dict(zip(programs, process.stdout.splitlines(), strict=True))
    assert outcomes.pop("valid") == "read"
    assert "index of a repeated object is too large" in outcomes.pop("memo")
    assert {outcome.partition(",")[0] for outcome in outcomes.values()} == {"the pickle takes more than 1"}


def test_ten_thousand_numbered_names_are_read(tmp_path: Path) -> None:
    numbers = [text(f"name {number}") for number in range(10_000)]
    names = b"}(" + b"".join(pickle.dumps(number, 2)[2:-1] + name for number, name in enumerate(numbers)) + b"u"
    checkpoint = read_checkpoint(zipped(tmp_path / "a.pt", mapping(model=mapping(w=GOOD_TENSOR), names=names)))
    assert checkpoint.names == tuple(f"name {number}" for number in range(10_000))
