"""A run keeps the bit depth of its images, and validation, prediction, and explanation scale images as training did."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import attendet
from attendet.api.validation import validate
from attendet.data.images import read_image
from attendet.interpret.image import explainer
from attendet.interpret.image.request import ExplanationRequest
from attendet.prediction.predictor import Predictor
from attendet.training.run_folder import RunFolder, read_run
from attendet.weights.io import opening
from tests.helpers.data_sets import write_data_file


def dark_set(folder: Path, text: str = "") -> Path:
    """Write a data set of 12-bit images with one bright square each, and return its data.yaml."""
    for split in ("train", "val"):
        for number in range(2):
            pixels = np.full((64, 64), 300, np.uint16)
            pixels[16:48, 16:48] = 4000
            for kind in ("images", "labels"):
                (folder / kind / split).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / f"images/{split}/{number}.png"), pixels + number)
            (folder / f"labels/{split}/{number}.txt").write_text("0 0.5 0.5 0.5 0.5")
    return write_data_file(folder, f"train: images/train\nval: images/val\nnames: [cell]\n{text}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dark")
    result = attendet.train(
        dark_set(folder),
        "yolov5n",
        epochs=1,
        imgsz=64,
        batch_size=2,
        device="cpu",
        out=folder / "runs/exp",
        settings={"data.bit_depth": "auto"},
    )
    return Path(result.folder)


def test_the_run_records_the_bits_that_its_set_uses(run: Path) -> None:
    record = read_run(RunFolder(run))
    assert record.configuration["data"]["bit_depth"] == 12
    assert opening.open(run).bit_depth == 12
    assert not [note for note in record.notes if "bits" in note]


def test_prediction_explanation_and_validation_scale_as_training(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = run.parents[1] / "images/val/0.png"
    scaled = read_image(image, 12)
    assert scaled.max() == 250
    predictor = Predictor(run, device="cpu", confidence=0.001)
    np.testing.assert_array_equal(predictor(image).confidence, predictor(scaled).confidence)
    _, request = explainer.open_network(run, ExplanationRequest())
    assert request.bit_depth == 12
    seen = []
    monkeypatch.setattr(
        "attendet.data.loading.image_store.read_image",
        lambda path, depth: seen.append(depth) or read_image(path, depth),
    )
    # Its own data.yaml does not state the bit depth.
    validate(run, run.parents[1] / "data.yaml", device="cpu")
    assert set(seen) == {12}
