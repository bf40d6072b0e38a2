"""A checkpoint that cannot be written is an error with the reason of the operating system."""

from pathlib import Path

import pytest
import torch

from attendet.errors import OutputError
from attendet.training.checkpoint_io import DirectCheckpointIO
from attendet.utils.io import write_atomically

CHECKPOINT = {"weights": torch.arange(20_000.0), "epoch": 3}


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    refused = pytest.raises(OutputError, match=r"last\.ckpt: cannot be written: File too large")
    with refused, write_atomically(tmp_path / "last.ckpt") as temporary:
        DirectCheckpointIO().save_checkpoint(CHECKPOINT, temporary)
    assert list(tmp_path.iterdir()) == []


def test_the_checkpoint_equals_a_file_of_torch_save(tmp_path: Path) -> None:
    DirectCheckpointIO().save_checkpoint(CHECKPOINT, tmp_path / "last.ckpt")
    loaded = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["weights"], CHECKPOINT["weights"])


def test_other_errors_are_not_changed(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        DirectCheckpointIO().save_checkpoint({"function": lambda: None}, tmp_path / "last.ckpt")
