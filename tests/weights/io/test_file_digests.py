"""A digest in a file finds every change of the file."""

import random
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from attendet import save_weights
from attendet.errors import WeightsError
from attendet.weights import read_checkpoint
from attendet.weights.io.file_digests import (
    PLACEHOLDER,
    DigestState,
    append_digest,
    compare_digest,
    require_intact,
    write_digest,
)


@pytest.fixture(params=["safetensors", "archive", "json"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "file"
    if request.param == "safetensors":
        save_weights(nn.Linear(40, 30), path)
    elif request.param == "archive":
        torch.save(nn.Linear(40, 30).state_dict(), path)
        append_digest(path)
    else:
        path.write_text(f'{{"numbers": {list(range(1000))}, "digest": "{PLACEHOLDER}"}}')
        write_digest(path)
    return path


def test_every_kind_of_change_is_found(file: Path) -> None:
    assert compare_digest(file) is DigestState.INTACT
    assert require_intact(file)
    content = file.read_bytes()
    generator = random.Random(0)  # noqa: S311
    mark = content.index(b"attendet-sha256:")
    for _ in range(300):
        place, bit = generator.randrange(len(content)), generator.randrange(8)
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        file.write_bytes(changed)
        # Without its mark, or with an invalid digest, a file counts as one without a digest.
        is_mark = mark <= place < mark + len(PLACEHOLDER)
        assert compare_digest(file) is DigestState.DAMAGED or is_mark, place
    for changed in (content[:100], content + b"\0", content[:200] + content[201:]):
        file.write_bytes(changed)
        assert compare_digest(file) is not DigestState.INTACT


def test_a_damaged_file_is_refused_by_name(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        require_intact(file)
    message = "the file is damaged: its digest differs from its content; restore the file from a copy, or train again"
    assert str(caught.value) == f"{file}: {message}"


def test_files_with_a_digest_are_read_as_before(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    save_weights(network, tmp_path / "a.safetensors")
    torch.save(network.state_dict(), tmp_path / "b.pt")
    append_digest(tmp_path / "b.pt")
    for path in (tmp_path / "a.safetensors", tmp_path / "b.pt"):
        assert torch.equal(read_checkpoint(path).tensors["weight"], network.weight)
    assert torch.equal(torch.load(tmp_path / "b.pt", weights_only=True)["weight"], network.weight)
    with safe_open(tmp_path / "a.safetensors", "pt") as opened:
        assert opened.metadata()["digest"].startswith("attendet-sha256:")


def test_other_files_have_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(torch.ones(1000), path)
    assert compare_digest(path) is DigestState.ABSENT
    assert not require_intact(path)
    path.write_bytes(b"")
    assert compare_digest(path) is DigestState.ABSENT
    with pytest.raises(WeightsError, match="must be a regular file, got a folder"):
        compare_digest(tmp_path)
