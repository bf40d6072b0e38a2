"""Files that attendet exported detect and explain the same without torch as the trained network with torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import attendet
from attendet.prediction import Predictor
from attendet.training.run_folder import RunFolder
from attendet_runtime.detector import Detector, Options
from attendet_runtime.errors import UsageError
from tests.helpers.small_training import MODEL_WITH_CBAM, skip_plots, train_to_find
from tests.runtime_distribution.same_detections import assert_same_objects

pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Train a small network with CBAM that finds rectangles."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        skip_plots(patch)
        return train_to_find(tmp_path_factory.mktemp("run"), MODEL_WITH_CBAM, images=16)


@pytest.fixture(scope="module")
def pictures(run: RunFolder) -> list[Path]:
    """Return the images that the network was not trained with, and two in other sizes."""
    folder = run.path.parents[1] / "wide" / "val" / "images"
    files = sorted(folder.glob("*.png"))
    with Image.open(files[0]) as picture:
        picture.resize((300, 200)).save(folder / "large.png")
        picture.transpose(Image.Transpose.ROTATE_90).save(folder / "upright.png")
    return [*files, folder / "large.png", folder / "upright.png"]


@pytest.fixture(scope="module")
def exported(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that exports the network with options."""

    def write(**options: Any) -> Path:
        found = attendet.export(run.path, out=tmp_path_factory.mktemp("exported"), **options)
        assert found.passes
        return found.path

    return write


def assert_same(detector: Detector, predictor: Predictor, pictures: list[Path], pixels: float) -> None:
    """Compare the detections of the runtime with the detections of attendet in several images."""
    expected = [predictor(picture) for picture in pictures]
    assert sum(map(len, expected)) >= len(pictures)
    for picture, known in zip(pictures, expected, strict=True):
        assert_same_objects(detector(picture).to_list(), to_list(known), pixels)


def to_list(expected: Any) -> list[dict[str, Any]]:
    """Return detections of attendet as `Detections.to_list` of the runtime does."""
    rows = zip(expected.data["class_name"], expected.confidence.tolist(), expected.xyxy.tolist(), strict=True)
    return [{"name": str(name), "confidence": confidence, "box": box} for name, confidence, box in rows]


def test_the_same_objects_are_detected(run: RunFolder, pictures: list[Path], exported: Callable[..., Path]) -> None:
    file = exported()
    choices: list[dict[str, Any]] = [
        {},
        {"confidence": 0.1, "iou": 0.3},
        {"classes": ["red"], "agnostic": True, "confidence": 0.02},
        {"imgsz": 96, "confidence": 0.1},
    ]
    for options in choices:
        predictor = Predictor(run.path, device="cpu", **options)
        detector = Detector(file, Options(**options))
        assert_same(detector, predictor, pictures, pixels=0.01)


def test_detections_of_the_file_itself_are_the_same(
    run: RunFolder, pictures: list[Path], exported: Callable[..., Path]
) -> None:
    file = exported(nms=True, confidence=0.2, iou=0.5, max_detections=20)
    predictor = Predictor(run.path, device="cpu", confidence=0.2, iou=0.5, max_detections=20)
    detector = Detector(file)
    assert_same(detector, predictor, pictures, pixels=0.01)
    with pytest.raises(UsageError, match=r"`confidence` must be at least 0\.2, as in the file"):
        Detector(file, Options(confidence=0.1))


def test_a_file_for_one_shape_and_several_images_detects_the_same_as_in_attendet(
    pictures: list[Path], exported: Callable[..., Path]
) -> None:
    file = exported(static=True, imgsz=(64, 128), batch=2)
    predictor = Predictor(file, device="cpu")
    detector = Detector(file)
    assert detector.description.canvas == (64, 128)
    assert_same(detector, predictor, pictures, pixels=1e-4)


def test_maps_are_the_maps_of_the_network_in_torch(
    run: RunFolder, pictures: list[Path], exported: Callable[..., Path]
) -> None:
    detector = Detector(exported(gates=True))
    for picture in pictures:
        [expected] = attendet.explain(run.path, picture)
        detections, sites = detector.explain(picture)
        assert len(detections) == len(detector(picture))
        assert [site.path for site in sites] == [site.path for site in expected.sites]
        for found, known in zip(sites, expected.sites, strict=True):
            for name in ("spatial", "channels", "before", "after"):
                np.testing.assert_allclose(getattr(found, name), getattr(known, name), atol=1e-5, err_msg=name)
            assert (found.module, found.kind) == ("CBAM", known.spatial_kind)
