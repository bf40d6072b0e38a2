"""Damage to the files of a run is found by their digests, and a run's checkpoint is a weights file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import attendet
from attendet.errors import AttendetError
from attendet.training.run_folder import RunFolder, read_run
from attendet.training.runner import config_to_resume, train
from attendet.weights import load_weights, read_checkpoint
from attendet.weights.io.file_digests import DigestState, compare_digest
from attendet.weights.io.opening import resolve_weights_path
from tests.helpers.small_training import Interrupted, InterruptingReporter, RecordingReporter, small

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture
def interrupted(data: Path, model: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    def begin(**settings: object) -> RunFolder:
        with pytest.raises(Interrupted):
            train(small(data, model, tmp_path / "runs", **settings), InterruptingReporter())
        return RunFolder(tmp_path / "runs" / "exp")

    return begin


def resume(folder: RunFolder) -> RecordingReporter:
    listener = RecordingReporter()
    train(config_to_resume(folder), listener, resume=folder)
    return listener


def flip_bit(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_refused_on_resume(interrupted: Callable[..., RunFolder]) -> None:
    folder = interrupted(schedule__epochs=2)
    for path in (folder.record, folder.checkpoint, folder.best, folder.last):
        assert compare_digest(path) is DigestState.INTACT
        content = path.read_bytes()
        # A digit of a number in run.json; the lowest bit of a value of a tensor in the other files.
        place = content.index(b'"parameters": ') + 14 if path == folder.record else len(content) // 2
        flip_bit(path, place)
        assert compare_digest(path) is DigestState.DAMAGED
        with pytest.raises(AttendetError) as caught:
            resume(folder)
        assert str(caught.value).startswith(
            f"{path}: the file is damaged: its digest differs from its content; restore"
        )
        assert "\n" not in str(caught.value)
        path.write_bytes(content)
    assert resume(folder).rows[-1]["epoch"] == 2
    assert compare_digest(folder.record) is DigestState.INTACT
    assert read_run(folder).finished


def test_files_of_earlier_versions_are_resumed_and_reported(interrupted: Callable[..., RunFolder]) -> None:
    folder = interrupted(schedule__epochs=2)
    checkpoint = torch.load(folder.checkpoint, weights_only=True)
    torch.save(checkpoint, folder.checkpoint)
    folder.record.write_text(folder.record.read_text().replace("attendet-sha256:", "sha256:"))
    assert compare_digest(folder.checkpoint) is DigestState.ABSENT
    messages = resume(folder).messages
    assert "last.ckpt has no digest, so damage to it is not found" in messages
    assert "run.json has no digest, so damage to it is not found" in messages


def test_the_checkpoint_opens_with_its_averaged_weights(interrupted: Callable[..., RunFolder]) -> None:
    folder = interrupted(schedule__epochs=2, model__attention=["cbam:reduction=2@after:Conv"])
    checkpoint = read_checkpoint(folder.checkpoint)
    saved = load_file(folder.last)
    assert checkpoint.kind == "training checkpoint"
    assert checkpoint.tensors.keys() == saved.keys()
    assert all(torch.equal(value, saved[key]) for key, value in checkpoint.tensors.items())
    raw = torch.load(folder.checkpoint, weights_only=True)["state_dict"]
    assert not torch.equal(raw["detector.model.0.conv.weight"], saved["model.0.conv.weight"])
    opened, expected = attendet.open(folder.checkpoint), attendet.open(folder.last)
    assert (opened.names, opened.imgsz, opened.card) == (expected.names, expected.imgsz, expected.card)
    assert [attachment.plan for attachment in opened.attention] == [
        attachment.plan for attachment in expected.attention
    ]
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        outputs, wanted = opened.detector(image), expected.detector(image)
    assert all(torch.equal(output, want) for output, want in zip(outputs, wanted, strict=True))
    report = load_weights(attendet.open(folder.last).detector, folder.checkpoint)
    assert len(report.kept) == report.total


def test_a_run_without_validated_weights_is_opened_from_its_other_files(interrupted: Callable[..., RunFolder]) -> None:
    folder = interrupted(schedule__epochs=2)
    assert resolve_weights_path(folder.path) == folder.best
    folder.best.unlink()
    assert resolve_weights_path(folder.path) == folder.last
    folder.last.unlink()
    assert resolve_weights_path(folder.path) == folder.checkpoint
    assert attendet.open(folder.path).names == read_run(folder).names
