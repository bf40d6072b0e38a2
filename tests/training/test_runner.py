"""What each setting does to a run: real training of a small network, and its effect looked for in what it leaves."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from attendet.attention import create
from attendet.data.loading.datasets import TrainingDataset
from attendet.data.loading.sampler import SampleIndex
from attendet.errors import DataError, OptionError
from attendet.training.config import TrainConfig, build_config
from attendet.training.preparation import with_absolute_paths
from attendet.training.run_folder import RunFolder
from attendet.training.task import DetectionTask
from attendet.weights.io import open_detector
from tests.helpers.small_training import MODEL, RecordingReporter, write_set

pytestmark = pytest.mark.usefixtures("without_plots")


def shapes_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that will hold the shape of every batch that the network is trained on."""
    shapes = []
    scaled = DetectionTask._scaled

    def spy(task: DetectionTask, images: torch.Tensor, batch_idx: int) -> torch.Tensor:
        shapes.append(tuple((result := scaled(task, images, batch_idx)).shape))
        return result

    monkeypatch.setattr(DetectionTask, "_scaled", spy)
    return shapes


def draws_of(monkeypatch: pytest.MonkeyPatch) -> list[SampleIndex]:
    draws = []
    sample = TrainingDataset.sample

    def spy(dataset: TrainingDataset, draw: SampleIndex) -> object:
        draws.append(draw)
        return sample(dataset, draw)

    monkeypatch.setattr(TrainingDataset, "sample", spy)
    return draws


def test_a_run_leaves_what_others_read(fit: Callable, data: Path) -> None:
    folder, record, listener = fit(output__name="first")
    assert record.finished
    assert json.loads(folder.record.read_text())["finished"] is True
    assert (record.epochs, record.names) == (2, ("red", "blue"))
    assert {name: facts["images"] for name, facts in record.data.items()} == {"train": 8, "val": 4}
    assert record.metrics is not None
    assert (record.metrics["images"], record.metrics["objects"]) == (4, 8)
    lines = folder.results.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2"]
    assert [row["epoch"] for row in listener.rows] == [1, 2]
    detector, card = open_detector(folder.last)
    assert (detector.num_classes, card.names, card.imgsz) == (2, ("red", "blue"), 64)
    assert folder.best.is_file()
    assert folder.checkpoint.is_file()
    assert record.configuration["data"]["path"] == str(data)
    assert not list(folder.path.rglob(".*"))


def test_losses_of_steps_are_means_of_this_epoch(fit: Callable) -> None:
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


def test_there_is_no_such_row_to_freeze(fit: Callable) -> None:
    with pytest.raises(OptionError, match=r"no row 9 to freeze; rows go from 0 to 5"):
        fit(model__freeze=[9])
    with pytest.raises(OptionError, match="nothing is left to train"):
        fit(model__freeze=list(range(6)))


def test_one_class(fit: Callable) -> None:
    folder, record, _ = fit(schedule__epochs=1, data__single_cls=True)
    assert record.names == open_detector(folder.last)[1].names == ("object",)
    assert record.metrics is not None
    assert [each["objects"] for each in record.metrics["per_class"]] == [8]


def test_rectangles(fit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = write_set(tmp_path / "wide", train=4, val=2, size=(64, 30))
    shapes = shapes_of(monkeypatch)
    fit(data__path=str(wide), schedule__epochs=1, data__rect=True, schedule__batch_size=2)
    assert shapes == [(2, 3, 32, 64)] * 2


def test_multi_scale(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = shapes_of(monkeypatch)
    fit(schedule__epochs=6, schedule__multi_scale=True, validation__every_epoch=False, schedule__imgsz=128)
    sides = {shape[2] for shape in shapes}
    assert len(sides) >= 3
    assert all(shape[2] == shape[3] and shape[2] % 32 == 0 for shape in shapes)
    assert min(sides) >= 64
    assert max(sides) <= 192


def test_an_imgsz_that_is_no_multiple_of_the_stride(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = shapes_of(monkeypatch)
    folder, record, listener = fit(schedule__epochs=1, schedule__imgsz=70)
    assert set(shapes) == {(4, 3, 96, 96)}
    assert record.configuration["schedule"]["imgsz"] == open_detector(folder.last)[1].imgsz == 96
    assert any("96 pixels: 70 is no multiple of the largest stride, 32" in said for said in listener.messages)


def test_without_validation_until_the_end(fit: Callable) -> None:
    folder, record, listener = fit(schedule__epochs=3, validation__every_epoch=False)
    assert np.isnan([row["metrics/mAP_0.5"] for row in listener.rows]).tolist() == [True, True, False]
    assert record.best_epoch == 3
    assert folder.best.is_file()


class Watcher(RecordingReporter):
    """Notes which weights there are after each epoch."""

    def __init__(self, project: Path) -> None:
        super().__init__()
        self.project, self.files = project, []

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:
        super().ended(row, is_best=is_best)
        self.files.append({path.stem for path in self.project.rglob("*.safetensors")})


def test_last_weights_at_the_end_only_and_some_kept(fit: Callable, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    fit(watcher, schedule__epochs=3, output__save=False, output__save_period=2)
    assert watcher.files == [{"best"}, {"best", "epoch2"}, {"best", "epoch2", "last"}]


def test_patience_ends_a_run_that_gets_no_better(fit: Callable, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    # Nothing is ever that certain: mAP stays at 0, and the first epoch is the best.
    _, record, _ = fit(
        watcher, schedule__epochs=9, schedule__patience=2, validation__confidence=1.0, output__save=False
    )
    assert (len(watcher.rows), record.epochs, record.best_epoch, record.finished) == (3, 3, 1, True)
    assert "last" not in watcher.files[1]
    assert "last" in watcher.files[2]
    assert any("--patience" in said for said in watcher.messages)


def test_images_without_objects_are_not_drawn_by_weight(
    fit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_set(tmp_path / "few", train=6, val=2)
    for number in (0, 1, 2, 4, 5):
        (tmp_path / "few" / "train" / "labels" / f"{number}.txt").write_text("")
    draws = draws_of(monkeypatch)
    fit(data__path=str(file), data__image_weights=True)
    assert len(draws) == 12
    assert {draw.image for draw in draws} == {3}


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
    shown = [event.value for event in events.Scalars("train/box_loss")]
    assert shown == pytest.approx([row["train/box_loss"] for row in listener.rows])


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_optimizer_that_is_asked_for(fit: Callable, name: str) -> None:
    folder, record, _ = fit(schedule__epochs=1, optimizer__name=name)
    assert record.recipe["name"] == name
    state = torch.load(folder.checkpoint, weights_only=True)["optimizer_states"][0]["state"][0]
    assert ("momentum_buffer" in state) == (name == "SGD")


def test_summed_batches_are_one_step(fit: Callable) -> None:
    folder, record, _ = fit(schedule__epochs=1, optimizer__nominal_batch=8)
    assert record.recipe["accumulate"] == 2
    assert torch.load(folder.checkpoint, weights_only=True)["global_step"] == 1


def test_mosaic_is_closed(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = TrainingDataset._mosaic

    def spy(dataset: TrainingDataset, draw: SampleIndex, *rest: object) -> object:
        made.append(draw.epoch)
        return original(dataset, draw, *rest)

    monkeypatch.setattr(TrainingDataset, "_mosaic", spy)
    fit(schedule__epochs=3, schedule__close_mosaic=1)
    assert sorted(set(made)) == [0, 1]


def test_neither_a_model_nor_weights(fit: Callable) -> None:
    with pytest.raises(OptionError, match="neither a model file nor weights"):
        fit(model__cfg=None)


def test_a_model_file_that_gives_the_number_of_anchors_alone(fit: Callable, tmp_path: Path) -> None:
    file = tmp_path / "anchors.yaml"
    lines = [
        line for line in MODEL.splitlines() if not line.startswith("  - [") or "Conv" in line or "anchors]" in line
    ]
    file.write_text("\n".join(line.replace("anchors:", "anchors: 2") for line in lines))
    folder, _, listener = fit(model__cfg=str(file), schedule__epochs=1)
    assert any("anchors fitted to the data: 100.0%" in said for said in listener.messages)
    detector, _ = open_detector(folder.last)
    anchors = detector.head.anchors_in_pixels()
    assert anchors.shape == (3, 2, 2)
    # Objects have sides of 12 to 23 pixels.
    assert 10 < anchors.min() < anchors.max() < 26


def test_anchors_that_fit_badly_are_fitted_unless_that_is_switched_off(fit: Callable, tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    text = MODEL.replace("[10,13, 16,30, 33,23]", "[400,400, 420,400, 400,420]")
    file.write_text(
        text.replace("[30,61, 62,45, 59,119]", "[400,410, 410,400, 430,420]").replace(
            "116,90, 156,198", "300,310, 350,340"
        )
    )
    fitted, _, told = fit(model__cfg=str(file), schedule__epochs=1)
    kept, _, warned = fit(model__cfg=str(file), schedule__epochs=1, anchors__fit=False)
    assert any("anchors fitted to the data" in said for said in told.messages)
    assert open_detector(fitted.last)[0].head.anchors_in_pixels().max() < 40
    assert any("only 0.0%" in said for said in warned.messages)
    assert open_detector(kept.last)[0].head.anchors_in_pixels().min() >= 300


def test_a_data_set_without_objects(fit: Callable, tmp_path: Path) -> None:
    file = write_set(tmp_path / "empty", train=2, val=2)
    for label in (tmp_path / "empty" / "train" / "labels").iterdir():
        label.write_text("")
    with pytest.raises(DataError, match="no training image has an object; check the labels"):
        fit(data__path=str(file))
    assert not (tmp_path / "runs").exists()


def test_bad_images_are_left_out_and_told_once(fit: Callable, tmp_path: Path) -> None:
    file = write_set(tmp_path / "bad", train=6, val=3)
    images = tmp_path / "bad" / "train" / "images"
    (images / "1.png").write_bytes(b"no image")
    (images / "2.png").write_bytes((images / "2.png").read_bytes()[:200])
    Image.new("L", (64, 64), 99).save(images / "3.png")
    _, record, listener = fit(data__path=str(file))
    told = [said for said in listener.messages if "left out" in said]
    assert len(told) == 1
    assert told[0].startswith("train: 2 images")
    assert record.data["train"]["images"] == 4
    assert record.data["train"]["skipped"] == 2


def test_progress_is_told(fit: Callable) -> None:
    _, _, listener = fit(schedule__epochs=1, data__cache="ram")
    last = {what: (done, total) for what, done, total in listener.scans}
    assert last["reading train"] == (8, 8)
    assert last["decoding images"] == (4, 4)


@pytest.mark.parametrize(("device", "message"), [("tpu", "there is no device 'tpu'"), ("77", "no CUDA device 77")])
def test_a_device_that_is_not_there(fit: Callable, tmp_path: Path, device: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit(hardware__device=device)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("batch", "message"), [(16, "do not divide by 5 processes"), (10, "5 processes would share 4")]
)
def test_more_processes_than_work(fit: Callable, tmp_path: Path, batch: int, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit(hardware__devices=5, schedule__batch_size=batch)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["bam", "sk"])
def test_one_image_is_too_few_for_a_norm_over_images(fit: Callable, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        create(name, 16, reduction=4)(torch.rand(1, 16, 4, 4))
    settings = {"model__attention": [f"{name}:reduction=4@model.3"], "schedule__epochs": 1}
    refused = "row 3 normalizes over the images of a batch, and a process gets only one; give --batch-size 2 or more"
    with pytest.raises(OptionError, match=refused):
        fit(**settings, schedule__batch_size=1)
    assert not (tmp_path / "runs").exists()
    # The last batch of one image is filled up; and what is frozen normalizes by what it has learned.
    fit(**settings, schedule__batch_size=7)
    fit(**settings, schedule__batch_size=1, model__freeze=[3])


def test_an_existing_folder_keeps_nothing_of_the_older_run(fit: Callable) -> None:
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


def test_a_run_is_recorded_with_whole_paths(
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


def test_a_configuration_is_what_is_recorded(fit: Callable) -> None:
    _, record, _ = fit(schedule__epochs=1, augment__mixup=0.25, loss__box=0.07)
    again = TrainConfig.model_validate(record.configuration)
    assert (again.augment.mixup, again.loss.box, again.schedule.epochs) == (0.25, 0.07, 1)
