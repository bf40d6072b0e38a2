"""Training of a network without anchors: everything that a run of YOLOv5 has, with the parts of its own loss."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import attendet
from attendet.detection import AnchorLossWeights
from attendet.errors import OptionError
from attendet.training.config_sections import LossConfig
from attendet.training.hyperparameters import read_hyperparameters
from attendet.training.runner import config_to_resume, train
from tests.helpers.small_training import (
    ANCHOR_FREE_MODEL,
    Interrupted,
    InterruptingReporter,
    RecordingReporter,
    rows_of,
    small,
    train_to_find,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "anchor_free.yaml"
    file.write_text(ANCHOR_FREE_MODEL)
    return file


def test_a_run_learns_to_find_objects(tmp_path: Path) -> None:
    folder = train_to_find(tmp_path, ANCHOR_FREE_MODEL, epochs=80)
    metrics = json.loads(folder.record.read_text())["metrics"]
    assert metrics["map50"] > 0.5
    opened = attendet.open(folder.path)
    assert {"results.png", "labels.png"} <= {file.name for file in folder.path.rglob("*.png")}
    assert opened.detector.head.loss_parts == ("box", "cls", "dfl")


@pytest.mark.usefixtures("without_plots")
def test_a_run_reports_the_parts_of_its_own_loss(fit: Callable, model: Path) -> None:
    folder, record, reporter = fit(model__cfg=str(model), schedule__epochs=2)
    assert {f"{split}/{part}_loss" for split in ("train", "val") for part in ("box", "cls", "dfl")} <= set(
        reporter.rows[0]
    )
    assert "train/obj_loss" not in reporter.rows[0]
    assert not any("anchors" in message for message in reporter.messages)
    assert record.finished
    assert folder.best.is_file()
    assert reporter.steps[0][1].keys() == {"box", "cls", "dfl"}


@pytest.mark.usefixtures("without_plots")
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(data: Path, model: Path, tmp_path: Path) -> None:
    whole, _ = train(small(data, model, tmp_path / "whole", schedule__epochs=3), RecordingReporter())
    with pytest.raises(Interrupted):
        train(small(data, model, tmp_path / "runs", schedule__epochs=3), InterruptingReporter())
    folder = type(whole)(tmp_path / "runs" / "exp")
    train(config_to_resume(folder), RecordingReporter(), resume=folder)
    assert rows_of(folder) == rows_of(whole)
    first, second = load_file(folder.last), load_file(whole.last)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.usefixtures("without_plots")
def test_settings_of_another_loss_are_refused_before_training(fit: Callable, model: Path, tmp_path: Path) -> None:
    message = r"`loss\.obj`, `loss\.anchor_t` must not be set for this model, whose loss has box, cls, dfl; remove them"
    with pytest.raises(OptionError, match=message):
        fit(model__cfg=str(model), loss__obj=1.0, loss__anchor_t=3.0)
    assert not (tmp_path / "runs").exists()
    with pytest.raises(OptionError, match=r"`loss\.dfl` must not be set for this model"):
        LossConfig(dfl=1.0).options_for(attendet.build("yolov5n").head, imgsz=320)


def test_options_of_another_loss_are_refused_by_the_head() -> None:
    head = attendet.build("yolov8n", num_classes=3).head
    with pytest.raises(OptionError, match="`options` must be PointLossWeights, got AnchorLossWeights"):
        head.loss([torch.zeros(1, 67, 8, 8)] * 3, torch.zeros(0, 6), AnchorLossWeights())


def test_a_hyperparameter_file_of_yolov8(tmp_path: Path) -> None:
    file = tmp_path / "hyp.yaml"
    file.write_text("box: 7.0\ndfl: 1.25\nnbs: 32\nclose_mosaic: 5\npose: 12.0\n")
    read = read_hyperparameters(file)
    assert read.settings == {
        "loss.box": 7.0,
        "loss.dfl": 1.25,
        "optimizer.nominal_batch": 32,
        "schedule.close_mosaic": 5,
    }
    assert len(read.notes) == 1
    assert "`pose` 12.0 has no effect: it belongs to another task than detection" in read.notes[0]


def test_the_loss_has_the_published_weights_unless_others_are_given() -> None:
    head = attendet.build("yolov8n", num_classes=3).head
    options = LossConfig(dfl=2.0).options_for(head, imgsz=320)
    assert vars(options) == {"box": 7.5, "cls": 0.5, "dfl": 2.0}
