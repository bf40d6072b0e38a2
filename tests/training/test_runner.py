"""Settings of a run and their effects: real training of a small network."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from attendet.errors import OptionError
from attendet.training.config import TrainConfig, build_config
from attendet.training.preparation import with_absolute_paths
from attendet.training.run_folder import RunFolder
from attendet.weights.io import opening
from tests.helpers.small_training import RecordingReporter

pytestmark = pytest.mark.usefixtures("without_plots")


def test_a_run_writes_its_files(fit: Callable, data: Path) -> None:
    folder, record, listener = fit(output__name="first")
    assert record.finished
    assert json.loads(folder.record.read_text())["finished"] is True
    assert (record.epochs, record.names) == (2, ("red", "blue"))
    assert {name: entry["images"] for name, entry in record.data.items()} == {"train": 8, "val": 4}
    assert record.metrics is not None
    assert (record.metrics["images"], record.metrics["objects"]) == (4, 8)
    lines = folder.results.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2"]
    assert [row["epoch"] for row in listener.rows] == [1, 2]
    opened = opening.open(folder.last)
    assert (opened.detector.num_classes, opened.names, opened.imgsz) == (2, ("red", "blue"), 64)
    assert folder.best.is_file()
    assert folder.checkpoint.is_file()
    assert record.configuration["data"]["path"] == str(data)
    assert not list(folder.path.rglob(".*"))


def test_reported_losses_are_means_of_the_epoch(fit: Callable) -> None:
    _, _, listener = fit()
    assert [batch for batch, _ in listener.steps] == [1, 2, 1, 2]
    for row, (_, losses) in zip(listener.rows, listener.steps[1::2], strict=True):
        assert losses == {name: pytest.approx(row[f"train/{name}_loss"], rel=1e-5) for name in ("box", "obj", "cls")}


def test_the_seed_decides_everything(fit: Callable) -> None:
    first, again, other = (
        fit(schedule__seed=seed, schedule__epochs=1, data__cache=cache)[0]
        for seed, cache in ((3, "ram"), (3, "disk"), (4, "none"))
    )
    weights = load_file(first.last)
    assert all(torch.equal(value, weights[key]) for key, value in load_file(again.last).items())
    assert not torch.equal(load_file(other.last)["model.0.conv.weight"], weights["model.0.conv.weight"])


def test_an_existing_folder_gets_a_number_unless_it_may_be_used(fit: Callable, tmp_path: Path) -> None:
    for _ in range(2):
        fit(schedule__epochs=1)
    (tmp_path / "runs" / "exp" / "mine.txt").write_text("keep")
    folder, *_ = fit(schedule__epochs=1, output__exist_ok=True)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["exp", "exp2"]
    assert folder.path.name == "exp"
    assert (folder.path / "mine.txt").read_text() == "keep"


def test_frozen_rows_keep_every_bit(fit: Callable, start: Path) -> None:
    folder, *_ = fit(model__cfg=None, model__weights=str(start), model__freeze=[0, 1])
    before = load_file(RunFolder(start).best)
    after = load_file(folder.last)
    same = {key for key, value in after.items() if torch.equal(value, before[key])}
    assert {key for key in before if key.startswith(("model.0.", "model.1."))} <= same
    assert not {"model.2.conv.weight", "model.2.bn.running_mean", "model.5.m.0.bias"} & same


def test_a_missing_row_cannot_be_frozen(fit: Callable) -> None:
    with pytest.raises(OptionError, match=r"`freeze` must contain row numbers from 0 to 5, got 9"):
        fit(model__freeze=[9])
    with pytest.raises(OptionError, match="nothing is left to train"):
        fit(model__freeze=list(range(6)))


def test_without_validation_until_the_end(fit: Callable) -> None:
    folder, record, listener = fit(schedule__epochs=3, validation__every_epoch=False)
    assert np.isnan([row["metrics/mAP_0.5"] for row in listener.rows]).tolist() == [True, True, False]
    assert record.best_epoch == 3
    assert folder.best.is_file()


class WeightsListing(RecordingReporter):
    """Records the names of the weights files after each epoch."""

    def __init__(self, project: Path) -> None:
        super().__init__()
        self.project, self.files = project, []

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:
        super().on_epoch_end(row, is_best=is_best)
        self.files.append({path.stem for path in self.project.rglob("*.safetensors")})


def test_last_weights_at_the_end_only_and_some_kept(fit: Callable, tmp_path: Path) -> None:
    listing = WeightsListing(tmp_path)
    fit(listing, schedule__epochs=3, output__save=False, output__save_period=2)
    assert listing.files == [{"best"}, {"best", "epoch2"}, {"best", "epoch2", "last"}]


def test_patience_stops_a_run_that_does_not_improve(fit: Callable, tmp_path: Path) -> None:
    listing = WeightsListing(tmp_path)
    # No detection has a confidence of 1, so mAP stays at 0, and the first epoch is the best.
    _, record, _ = fit(
        listing, schedule__epochs=9, schedule__patience=2, validation__confidence=1.0, output__save=False
    )
    assert (len(listing.rows), record.epochs, record.best_epoch, record.finished) == (3, 3, 1, True)
    assert "last" not in listing.files[1]
    assert "last" in listing.files[2]
    assert any("--patience" in line for line in listing.messages)


def test_label_smoothing_reaches_the_loss(fit: Callable) -> None:
    plain, smooth = (fit(schedule__epochs=1, loss__label_smoothing=value)[2].steps[0][1] for value in (0.0, 0.5))
    assert (plain["box"], plain["obj"]) == (smooth["box"], smooth["obj"])
    assert plain["cls"] != smooth["cls"]


def test_tensorboard_shows_losses_and_map(fit: Callable) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder, _, listener = fit(output__tensorboard=True)
    events = accumulator.EventAccumulator(str(folder.path / "tensorboard")).Reload()
    tags = events.Tags()["scalars"]
    assert {"train/box_loss", "val/obj_loss", "metrics/mAP_0.5"} <= set(tags)
    logged = [event.value for event in events.Scalars("train/box_loss")]
    assert logged == pytest.approx([row["train/box_loss"] for row in listener.rows])


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_optimizer_is_selected_by_name(fit: Callable, name: str) -> None:
    folder, record, _ = fit(schedule__epochs=1, optimizer__name=name)
    assert record.recipe["name"] == name
    state = torch.load(folder.checkpoint, weights_only=True)["optimizer_states"][0]["state"][0]
    assert ("momentum_buffer" in state) == (name == "SGD")


def test_accumulated_batches_are_one_step(fit: Callable) -> None:
    folder, record, _ = fit(schedule__epochs=1, optimizer__nominal_batch=8)
    assert record.recipe["accumulate"] == 2
    assert torch.load(folder.checkpoint, weights_only=True)["global_step"] == 1


def test_neither_a_model_nor_weights(fit: Callable) -> None:
    with pytest.raises(OptionError, match="a model file or weights are required"):
        fit(model__cfg=None)


def test_progress_is_reported(fit: Callable) -> None:
    _, _, listener = fit(schedule__epochs=1, data__cache="ram")
    last = {task: (done, total) for task, done, total in listener.scans}
    assert last["reading train"] == (8, 8)
    assert last["decoding images"] == (4, 4)


@pytest.mark.parametrize(
    ("device", "message"), [("tpu", "`device` must be .*, got 'tpu'"), ("77", "CUDA device 77 not found")]
)
def test_a_missing_device(fit: Callable, tmp_path: Path, device: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit(hardware__device=device)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("batch", "message"),
    [(16, "must be divisible by the number of processes .5., got 16"), (10, "got 5 processes for 4 images")],
)
def test_more_processes_than_images(fit: Callable, tmp_path: Path, batch: int, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit(hardware__devices=5, schedule__batch_size=batch)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["bam", "sk"])
def test_one_image_is_too_few_for_a_norm_over_images(fit: Callable, tmp_path: Path, name: str) -> None:
    settings = {"model__attention": [f"{name}:reduction=4@model.3"], "schedule__epochs": 1}
    refused = "row 3 normalizes over the images of a batch, but a process gets only one image; use --batch-size 2"
    with pytest.raises(OptionError, match=refused):
        fit(**settings, schedule__batch_size=1)
    assert not (tmp_path / "runs").exists()
    # A last batch of one image is filled up; frozen norms use their running statistics.
    fit(**settings, schedule__batch_size=7)
    fit(**settings, schedule__batch_size=1, model__freeze=[3])


def test_files_of_an_older_run_are_removed(fit: Callable) -> None:
    pytest.importorskip("tensorboard")
    folder, *_ = fit(output__save_period=1, output__tensorboard=True)
    older = {folder.path / "tensorboard", folder.path / "weights" / "epoch2.safetensors"}
    older |= {folder.picture(name) for name in ("labels", "results", "f1", "attention_filmstrip")}
    others = {folder.picture("mine"), folder.path / "weights" / "other.safetensors", folder.path / "notes.txt"}
    folder.picture("mine").parent.mkdir()
    for path in (*older, *others):
        if not path.exists():
            path.touch()
    fit(schedule__epochs=1, output__exist_ok=True)
    assert not any(path.exists() for path in older)
    assert all(path.exists() for path in others)


def test_a_run_is_recorded_with_absolute_paths(
    fit: Callable, start: Path, data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    paths = {"data": os.path.relpath(data), "weights": os.path.relpath(start)}
    _, record, _ = fit(
        data__path=paths["data"], model__cfg=model.name, model__weights=paths["weights"], schedule__epochs=1
    )
    recorded = record.configuration
    assert (recorded["model"]["cfg"], recorded["model"]["weights"]) == (str(model), str(start))
    assert recorded["data"]["path"] == str(data)
    assert with_absolute_paths(build_config({"data.path": "a.yaml", "model.cfg": "yolov5n"})).model.cfg == "yolov5n"


def test_the_recorded_configuration_is_complete(fit: Callable) -> None:
    _, record, _ = fit(schedule__epochs=1, augment__mixup=0.25, loss__box=0.07)
    again = TrainConfig.model_validate(record.configuration)
    assert (again.augment.mixup, again.loss.box, again.schedule.epochs) == (0.25, 0.07, 1)
