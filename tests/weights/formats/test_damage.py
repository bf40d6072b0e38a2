"""Truncated and damaged files raise WeightsError, or are read if the damage does not matter."""

import random
import zipfile
from pathlib import Path

import pytest

from attendet.errors import WeightsError
from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.crafted_pickles import refusal, zipped
from tests.helpers.checkpoints.yolov5_checkpoints import checkpoint, save, yolov5


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused(tmp_path: Path, zip_format: bool) -> None:
    whole = save(checkpoint(yolov5()), tmp_path / "whole.pt", zipped=zip_format).read_bytes()
    truncated = tmp_path / "truncated.pt"
    for length in (*range(40), *range(40, len(whole), len(whole) // 150), len(whole) - 1):
        truncated.write_bytes(whole[:length])
        refusal(truncated)


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_flipped_bits_raise_no_other_error(tmp_path: Path, zip_format: bool) -> None:
    chosen = random.Random(0)  # noqa: S311 (damage, not secrets)
    state = {"state_dict": yolov5().state_dict(), "opt": {"a": [1, 2.5, None, "x", Path("a")]}, "epoch": 3}
    whole = save(state, tmp_path / "whole.pt", zipped=zip_format).read_bytes()
    path, refusals = tmp_path / "flipped.pt", 0
    # The directory of the archive is at the end, the pickle near the start.
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


def test_damaged_opcodes_raise_no_other_error(tmp_path: Path) -> None:
    # The damaged pickle gets a new archive, because the checksums of the old one would detect the damage first.
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
