"""Settings of the data and the schedule, and the resulting images and shapes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attendet.data.loading.datasets import TrainingDataset
from attendet.data.loading.sampler import SampleIndex
from attendet.errors import DataError
from attendet.training.task import DetectionTask
from attendet.weights.io import opening
from tests.helpers.small_training import write_set

pytestmark = pytest.mark.usefixtures("without_plots")


def shapes_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that receives the shape of every training batch."""
    shapes = []
    scaled = DetectionTask._scaled

    def spy(task: DetectionTask, images: torch.Tensor, batch_idx: int) -> torch.Tensor:
        shapes.append(tuple((result := scaled(task, images, batch_idx)).shape))
        return result

    monkeypatch.setattr(DetectionTask, "_scaled", spy)
    return shapes


def samples_of(monkeypatch: pytest.MonkeyPatch) -> list[SampleIndex]:
    """Return a list that receives the index of every training sample."""
    samples = []
    sample = TrainingDataset.sample

    def spy(dataset: TrainingDataset, sample_index: SampleIndex) -> object:
        samples.append(sample_index)
        return sample(dataset, sample_index)

    monkeypatch.setattr(TrainingDataset, "sample", spy)
    return samples


def test_one_class(fit: Callable) -> None:
    folder, record, _ = fit(schedule__epochs=1, data__single_cls=True)
    assert record.names == opening.open(folder.last).names == ("object",)
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


def test_imgsz_is_rounded_up_to_the_stride(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = shapes_of(monkeypatch)
    folder, record, listener = fit(schedule__epochs=1, schedule__imgsz=70)
    assert set(shapes) == {(4, 3, 96, 96)}
    assert record.configuration["schedule"]["imgsz"] == opening.open(folder.last).imgsz == 96
    assert any("imgsz rounded up from 70 to 96, a multiple of the stride 32" in line for line in listener.messages)


def test_images_without_objects_are_not_drawn_by_weight(
    fit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_set(tmp_path / "few", train=6, val=2)
    for number in (0, 1, 2, 4, 5):
        (tmp_path / "few" / "train" / "labels" / f"{number}.txt").write_text("")
    samples = samples_of(monkeypatch)
    fit(data__path=str(file), data__image_weights=True)
    assert len(samples) == 12
    assert {sample_index.image for sample_index in samples} == {3}


def test_close_mosaic(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = []
    original = TrainingDataset._mosaic

    def spy(dataset: TrainingDataset, sample_index: SampleIndex, generator: np.random.Generator) -> object:
        epochs.append(sample_index.epoch)
        return original(dataset, sample_index, generator)

    monkeypatch.setattr(TrainingDataset, "_mosaic", spy)
    fit(schedule__epochs=3, schedule__close_mosaic=1)
    assert sorted(set(epochs)) == [0, 1]


def test_a_data_set_without_objects(fit: Callable, tmp_path: Path) -> None:
    file = write_set(tmp_path / "empty", train=2, val=2)
    for label in (tmp_path / "empty" / "train" / "labels").iterdir():
        label.write_text("")
    with pytest.raises(
        DataError, match="no training image has an object; labels: 0 found, 2 empty, 0 missing, 0 invalid"
    ):
        fit(data__path=str(file))
    assert not (tmp_path / "runs").exists()


def test_unreadable_images_are_skipped_and_reported_once(fit: Callable, tmp_path: Path) -> None:
    file = write_set(tmp_path / "bad", train=6, val=3)
    images = tmp_path / "bad" / "train" / "images"
    (images / "1.png").write_bytes(b"not an image")
    (images / "2.png").write_bytes((images / "2.png").read_bytes()[:200])
    Image.new("L", (64, 64), 99).save(images / "3.png")
    _, record, listener = fit(data__path=str(file))
    reports = [line for line in listener.messages if "left out" in line]
    assert reports == ["train: 2 images left out; see `attendet data check`"]
    assert record.data["train"]["images"] == 4
    assert record.data["train"]["skipped"] == 2
