"""Detectors from checkpoints of the original YOLOv5, compared with the outputs of the original."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import attendet
from attendet.errors import WeightsError
from attendet.models.detector import Detector
from attendet.weights.io import opening
from tests.helpers.checkpoints.yolov5_checkpoints import yolov5_file
from tests.helpers.oracles import Oracle, oracle_weights, yolo_images

NAMES = [f"class {number}" for number in range(80)]


@pytest.fixture
def original() -> Detector:
    """Return yolov5n with the weights of the oracle."""
    detector = attendet.build("yolov5n")
    detector.load_state_dict(oracle_weights(detector.state_dict(), ".bn.weight"))
    return detector.train(False)


@pytest.mark.parametrize("names", [NAMES, dict(enumerate(NAMES))])
@pytest.mark.parametrize("averaged", [True, False])
def test_outputs_equal_the_originals(
    tmp_path: Path, oracle: Callable[[str], Oracle], original: Detector, names: object, averaged: bool
) -> None:
    path = yolov5_file(tmp_path / "yolov5n.pt", original, "yolov5n", names, half=False, averaged=averaged)
    opened = opening.open(path)
    assert (opened.names, opened.imgsz) == (tuple(NAMES), 640)
    expected = oracle("yolov5n")
    for level, raw in enumerate(opened.detector(yolo_images())):
        assert expected.difference(f"raw{level}", raw) < 1e-4


def test_half_precision_becomes_single(tmp_path: Path, original: Detector) -> None:
    detector = opening.open(yolov5_file(tmp_path / "yolov5n.pt", original, "yolov5n", NAMES)).detector
    state = original.state_dict()
    for key, value in detector.state_dict().items():
        assert value.dtype == state[key].dtype
        assert torch.equal(value, state[key].half().to(value.dtype)), key


def test_inserted_attention_starts_as_identity(tmp_path: Path, original: Detector) -> None:
    path = yolov5_file(tmp_path / "yolov5n.pt", original, "yolov5n", NAMES, half=False)
    images = torch.rand(1, 3, 64, 96)
    expected = original(images)
    by_row = attendet.build("yolov5n_CBAM", start="identity").train(False)
    attached = attendet.build("yolov5n").train(False)
    attendet.attach(attached, "cbam", ["neck", "before:SPPF"])
    other_classes = attendet.build("yolov5n_CBAM", start="identity", num_classes=3).train(False)
    for detector, new in ((by_row, 5), (attached, 25)):
        report = attendet.load_weights(detector, path)
        assert (len(report.kept), len(report.new), report.dropped, report.reshaped) == (349, new, (), ())
        assert all(torch.equal(raw, before) for raw, before in zip(detector(images), expected, strict=True))
    # Other classes: the original's boxes, objectness, and classes of the same name stay.
    report = attendet.load_weights(other_classes, path, names=["class 7", "class 100", "class 0"])
    assert len(report.kept) == 343
    assert {key.split(".")[1] for key in report.reshaped} == {"25"}
    for raw, before in zip(other_classes(images), expected, strict=True):
        # With another number of output channels, the convolution sums in another order.
        torch.testing.assert_close(raw[..., :5], before[..., :5], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(raw[..., [5, 7]], before[..., [12, 5]], rtol=1e-4, atol=1e-4)


def test_a_model_that_does_not_fit_stays_unchanged(tmp_path: Path, original: Detector) -> None:
    path = yolov5_file(tmp_path / "yolov5n.pt", original, "yolov5n", NAMES)
    model = torch.nn.Linear(3, 4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"yolov5n\.pt: no tensor fits into Linear: kept 0 of 2 tensors"):
        attendet.load_weights(model, path)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_predictor_reads_it(tmp_path: Path, original: Detector) -> None:
    path = yolov5_file(tmp_path / "yolov5n.pt", original, "yolov5n", NAMES)
    attendet.save_weights(original.half().float(), tmp_path / "own.safetensors", opening.open(path).card)
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    detections = [
        attendet.Predictor(tmp_path / name, imgsz=128, confidence=0.001, device="cpu")(image)
        for name in ("yolov5n.pt", "own.safetensors")
    ]
    assert len(detections[0]) > 0
    np.testing.assert_array_equal(detections[0].xyxy, detections[1].xyxy)
    assert list(detections[0].data["class_name"]) == list(detections[1].data["class_name"])
