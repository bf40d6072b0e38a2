"""Validation of a small detector that was trained to find painted rectangles."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.validation import validate
from attendet.models.detector import Detector
from attendet.training.plots.run_plots import PICTURES
from attendet.training.run_folder import RunFolder
from attendet.weights.io import opening
from tests.helpers.calibrated_detector import NAMES, calibrated_detector
from tests.helpers.small_training import train_to_find


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validate")


@pytest.fixture(scope="module")
def run(folder: Path) -> RunFolder:
    return train_to_find(folder)


@pytest.fixture(scope="module")
def detector(run: RunFolder) -> Detector:
    return opening.open(run.best).detector


def read(folder: Path, split: str) -> Split:
    return drop_invalid(data_source.open(folder / "wide" / "data.yaml").read(split))


def test_training_draws_every_picture(run: RunFolder) -> None:
    names = {path.stem for path in (run.path / "pictures").iterdir()}
    assert {"results", "precision_recall", "f1", "confusion_matrix", "labels", "training_batch", "predictions"} == names
    assert names == set(PICTURES)


def test_results_do_not_depend_on_the_batch_size(detector: Detector, folder: Path) -> None:
    split = read(folder, "val")
    one, many = (validate(detector, split, 64, batch_size=size) for size in (1, 5))
    assert [record.image for record in one.records] == [record.image for record in many.records]
    for first, second in zip(one.detections, many.detections, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-3)
    assert one.metrics.map50 == pytest.approx(many.metrics.map50, abs=1e-6)
    assert one.metrics.map50_95 == pytest.approx(many.metrics.map50_95, abs=1e-3)


@pytest.mark.parametrize(("model", "iou", "other"), [("yolov5n", 0.6, 0.7), ("yolov8n", 0.7, 0.6)])
def test_the_iou_is_that_of_the_network_unless_it_is_given(folder: Path, model: str, iou: float, other: float) -> None:
    detector, split = calibrated_detector(model), replace(read(folder, "val"), names=NAMES)
    default = validate(detector, split, 64).detections
    given, different = (validate(detector, split, 64, ValidationConfig(iou=each)).detections for each in (iou, other))
    assert sum(map(len, default)) > 50
    assert all(map(torch.equal, default, given))
    assert not all(map(torch.equal, default, different))


def test_boxes_are_in_pixels_of_the_image(detector: Detector, folder: Path) -> None:
    """The most confident box of each image covers the rectangle of its class."""
    measured = validate(detector, read(folder, "train"), 64)
    best = [found[found[:, 4].argmax()] for found in measured.detections]
    overlaps = []
    for record, (x1, y1, x2, y2, _, category) in zip(measured.records, (box.tolist() for box in best), strict=True):
        assert 0 <= x1 < x2 <= 96
        assert 0 <= y1 < y2 <= 64
        true = record.boxes[record.classes == category][0]
        both = np.minimum(true[2:], [x2, y2]) - np.maximum(true[:2], [x1, y1])
        inside = both.clip(0).prod()
        overlaps.append(inside / ((x2 - x1) * (y2 - y1) + (true[2:] - true[:2]).prod() - inside))
    assert np.mean(overlaps) > 0.4


def test_a_validation_shows_itself_and_is_plain_json(detector: Detector, folder: Path) -> None:
    validation = validate(detector, read(folder, "val"), 64)
    plain = json.loads(json.dumps(validation.to_dict(), allow_nan=False))
    assert plain["map50"] == validation.metrics.map50
    assert plain["milliseconds_per_image"].keys() == {"load", "network", "nms"}
    assert repr(validation).startswith("Validation(Metrics(map50_95=")
    assert "<table>" in validation._repr_html_()
    assert " ms</p>" in validation._repr_html_()
