"""Failures during a run are reported in one line, and the last valid files are kept."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from attendet.blocks.heads import anchor_based
from attendet.errors import DataError, OptionError, OutputError, TrainingError, WeightsError
from attendet.models.detector import Detector
from attendet.training.recorder import require_valid_checkpoint
from attendet.training.run_folder import RunFolder, read_run
from attendet.training.runner import config_to_resume, train
from attendet.training.task import DetectionTask
from attendet.training.weight_average import AveragedWeights
from attendet.weights.io import opening
from tests.helpers.checkpoints import crafted_pickles as crafted
from tests.helpers.checkpoints.crafted_pickles import Bomb
from tests.helpers.small_training import RecordingReporter, skip_plots, write_set
from tests.helpers.typed_access import tensor

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "exp")


class FileSnapshot(RecordingReporter):
    """Stores the content of all files after the first epoch."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__()
        self.folder, self.files = folder, {}

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:
        super().on_epoch_end(row, is_best=is_best)
        if len(self.rows) == 1:
            self.files = self._content()

    def check(self) -> None:
        """Check that the files are the same as after the first epoch."""
        assert {"last.safetensors", "last.ckpt", "results.csv"} <= {path.name for path in self.files}
        assert self._content() == self.files

    def _content(self) -> dict[Path, bytes]:
        """Return the content of all files but the lock, which a running process holds."""
        files = [path for path in self.folder.path.rglob("*") if path.is_file() and path.name != ".lock"]
        return {path: path.read_bytes() for path in files}


def test_a_loss_that_is_not_finite(fit: Callable, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = DetectionTask._scaled

    def poisoned(task: DetectionTask, images: torch.Tensor, batch_idx: int) -> torch.Tensor:
        images = scaled(task, images, batch_idx)
        return images * torch.nan if (task.current_epoch, batch_idx) == (1, 1) else images

    monkeypatch.setattr(DetectionTask, "_scaled", poisoned)
    snapshot = FileSnapshot(folder)
    with pytest.raises(TrainingError, match=r"the loss is nan in epoch 2, batch 2; the last complete epoch is kept"):
        fit(snapshot, schedule__epochs=3)
    snapshot.check()
    monkeypatch.undo()
    skip_plots(monkeypatch)
    assert config_to_resume(folder).schedule.epochs == 3


def test_a_step_that_makes_weights_infinite(fit: Callable, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    update = AveragedWeights.update

    def diverging(averaged: AveragedWeights, model: Detector) -> None:
        if averaged.steps == 3:
            with torch.no_grad():
                tensor(model, "model.0.conv.weight").fill_(torch.nan)
        update(averaged, model)

    monkeypatch.setattr(AveragedWeights, "update", diverging)
    snapshot = FileSnapshot(folder)
    with pytest.raises(TrainingError, match=r"not finite at the end of epoch 2; the weights of the epoch before"):
        fit(snapshot)
    snapshot.check()


@pytest.mark.parametrize("file", ["weights", "checkpoint"])
def test_a_full_disk(fit: Callable, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    snapshot = FileSnapshot(folder)

    def fail(*args: Any, **_: object) -> None:
        path = Path(next(str(arg) for arg in args if isinstance(arg, str | Path)))
        if not snapshot.rows:
            return original(*args)
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    if file == "weights":
        from attendet.weights.io import saving  # noqa: PLC0415

        save_file = saving.save_file  # pyright: ignore[reportPrivateImportUsage]
        original = lambda tensors, path: save_file(tensors, path, metadata=card[0])  # noqa: E731
        card: list[dict[str, str]] = []

        def with_card(tensors: object, path: Path, metadata: dict[str, str]) -> None:
            card[:] = [metadata]
            fail(tensors, path)

        monkeypatch.setattr(saving, "save_file", with_card)
    else:
        original = Trainer.save_checkpoint
        monkeypatch.setattr(Trainer, "save_checkpoint", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        fit(snapshot)
    if file == "weights":
        snapshot.check()
    else:
        # The weights are from the second epoch, but the checkpoint is still from the first.
        assert folder.checkpoint.read_bytes() == snapshot.files[folder.checkpoint]
        assert [path.name for path in folder.checkpoint.parent.iterdir()] == ["last.ckpt"]
    opening.open(folder.last)
    assert not read_run(folder).finished


@pytest.mark.usefixtures("small_files")
def test_weights_that_the_operating_system_does_not_write(fit: Callable, folder: RunFolder) -> None:
    with pytest.raises(OutputError, match=r"last\.safetensors: cannot be written: .*"):
        fit()
    assert not list(folder.path.rglob("*.safetensors*"))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_vanishes_after_the_scan(fit: Callable, tmp_path: Path, workers: int) -> None:
    file = write_set(tmp_path / "vanishing", train=4, val=2)

    class Deleter(RecordingReporter):
        def on_epoch_start(self, epoch: int, epochs: int, batches: int) -> None:  # noqa: ARG002
            (tmp_path / "vanishing" / "train" / "images" / "2.png").unlink(missing_ok=True)

    with pytest.raises(DataError) as caught:
        fit(Deleter(), data__path=str(file), data__workers=workers, data__cache="none", data__rect=True)
    assert "2.png: image file not found" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def raising(error: Exception) -> Callable[..., None]:
    def forward(*_: object) -> None:
        raise error

    return forward


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        MemoryError(),
    ],
)
def test_out_of_memory(fit: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(anchor_based, "anchor_based_loss", raising(error))
    with pytest.raises(TrainingError, match="with 4 images of 64 pixels per batch; try --batch-size 2"):
        fit()
    with pytest.raises(TrainingError, match="with 1 image of 64 pixels per batch; try a smaller --imgsz"):
        fit(schedule__batch_size=1)


def test_other_errors_are_not_changed(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor_based, "anchor_based_loss", raising(RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match="a defect"):
        fit()


def unfinished(run: RunFolder) -> str:
    """Return the record of a finished run as that of an interrupted one, without its digest."""
    text = run.record.read_text().replace('"finished": true', '"finished": false')
    return text.replace("attendet-sha256:", "")


def test_runs_that_cannot_be_resumed(fit: Callable, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json: run record not found; name the folder of a training run"):
        config_to_resume(RunFolder(tmp_path / "none"))
    done, *_ = fit(schedule__epochs=1)
    with pytest.raises(OptionError, match="is finished; start a new run from its weights"):
        config_to_resume(done)
    text = unfinished(done)
    done.record.write_text(text.replace('"epochs": 1,', '"epochs": "many",', 1))
    with pytest.raises(DataError, match=r"the configuration is from another version of attendet: schedule.epochs"):
        config_to_resume(done)
    done.record.write_text("{}")
    message = r"run\.json: the record is damaged: `command`: field required; remove the file"
    with pytest.raises(DataError, match=message):
        config_to_resume(done)
    done.record.write_text(text)
    done.checkpoint.unlink()
    with pytest.raises(OptionError, match="has not completed an epoch; start it again"):
        config_to_resume(done)


@pytest.mark.parametrize("kind", ["pickle", "damaged", "empty"])
def test_an_invalid_checkpoint(fit: Callable, tmp_path: Path, kind: str) -> None:
    done, *_ = fit(schedule__epochs=1)
    done.record.write_text(unfinished(done))
    trace = tmp_path / "exploded"
    if kind == "pickle":
        torch.save({"state_dict": {}, "bomb": Bomb(trace)}, done.checkpoint)
    else:
        content = done.checkpoint.read_bytes()
        done.checkpoint.write_bytes(content[: len(content) // 2] if kind == "damaged" else b"")
    with pytest.raises(WeightsError, match=r"last\.ckpt: the checkpoint is damaged, or was not written by attendet"):
        train(config_to_resume(done), RecordingReporter(), resume=done)
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["declared", "compressed", "shared"])
def test_a_checkpoint_that_would_fill_the_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "last.ckpt"
    count = {"declared": 2**40, "compressed": 2**20, "shared": 8}[kind]
    first = crafted.tensor((count,), (1,), stored=count)
    second = crafted.tensor((4,), (1,), stored=4 if kind == "shared" else count)
    program = crafted.mapping(state_dict=crafted.mapping(w=first, x=second))
    compression = zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED
    crafted.zipped(path, program, {"0": bytes(4 * min(count, 2**20))}, compression=compression)
    with pytest.raises(WeightsError, match=r"last\.ckpt: the checkpoint is damaged, or was not written by attendet"):
        require_valid_checkpoint(path)


def test_a_valid_checkpoint(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    torch.save({"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}, tmp_path / "last.ckpt")
    require_valid_checkpoint(tmp_path / "last.ckpt")
