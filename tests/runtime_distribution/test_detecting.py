"""An exported file detects the same objects without torch as its weights with torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from supervision import Detections

from attendet.data.images import read_image
from attendet.data.loading.canvases import canvas_shapes
from attendet.data.loading.resizing import letterbox
from attendet.detection.postprocess import CanvasPlacement, DetectionThresholds, detections_in_images
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.prediction import Predictor
from attendet.runtimes.file_description import InputShape
from attendet_runtime.detections import Detections as Found
from attendet_runtime.detector import Detector, Options
from attendet_runtime.errors import RuntimeFileError, UsageError
from tests.helpers.calibrated_detector import photographs
from tests.runtime_distribution.exported_files import (
    IMGSZ,
    baked_description,
    fixed_description,
    small_description,
    with_description,
    write_constant_graph,
)

PIXELS = 0.5
SCORE = 1e-3
# The network of these tests has random weights, and finds hundreds of boxes that nearly suppress each other. A rounding
# error of onnxruntime decides the other way for a few of them.
COMMON = 0.99


def assert_same_detections(found: Found, expected: Detections) -> None:
    """Assert that nearly every detection of each side has an equal one on the other side, and equal counts by class."""
    assert len(expected) > 10
    assert expected.class_id is not None
    assert expected.confidence is not None
    is_same = (
        (found.class_id[:, None] == expected.class_id)
        & (np.abs(found.confidence[:, None] - expected.confidence) < SCORE)
        & (np.abs(found.xyxy[:, None] - expected.xyxy).max(-1) < PIXELS)
    )
    assert is_same.any(0).mean() >= COMMON
    assert is_same.any(1).mean() >= COMMON


def rows_of(found: Found) -> NDArray[np.float32]:
    return np.concatenate([found.xyxy, found.confidence[:, None], found.class_id[:, None].astype(np.float32)], axis=1)


@pytest.mark.parametrize(
    ("imgsz", "confidence", "agnostic"), [(IMGSZ, 0.25, False), (320, 0.6, True), (416, 0.95, False)]
)
def test_photographs_have_the_detections_of_attendet(
    weights: Path, onnx_file: Path, imgsz: int, confidence: float, agnostic: bool
) -> None:
    # Many boxes have the score 1, and a smaller number of detections would keep any of them.
    options = {"imgsz": imgsz, "confidence": confidence, "max_detections": 30_000, "agnostic": agnostic}
    predictor = Predictor(weights, device="cpu", **options)
    detector = Detector(onnx_file, Options(**options))
    for photograph in [*photographs(), np.ascontiguousarray(photographs()[0].transpose(1, 0, 2))]:
        assert_same_detections(detector(photograph), predictor(photograph))


def test_real_images_have_the_detections_of_attendet(weights: Path, onnx_file: Path, real_data: Path) -> None:
    predictor, detector = Predictor(weights, device="cpu"), Detector(onnx_file)
    folders = [real_data / "bccd" / "JPEGImages", real_data / "pear640" / "images"]
    files = [file for folder in folders for file in sorted(folder.rglob("*.jp*g"))[:4]]
    assert len(files) == 8
    for file in files:
        assert_same_detections(detector(file), predictor(file))


@pytest.mark.parametrize("multi_label", [False, True])
def test_equal_predictions_have_equal_detections(onnx_file: Path, multi_label: bool) -> None:
    """Everything but the network is equal bit for bit: the canvas, the suppression, and the pixels of the image."""
    detector = Detector(onnx_file, Options(confidence=0.3, multi_label=multi_label))
    for photograph in photographs():
        height, width = photograph.shape[:2]
        shape = canvas_shapes(np.array([[width, height]]), IMGSZ, 32)[0].tolist()
        canvas, placed = letterbox(photograph, IMGSZ, tuple(shape))
        images = torch.from_numpy(canvas[None]).permute(0, 3, 1, 2).float().div_(255).contiguous().numpy()
        [predictions] = detector._session.run(["predictions"], {"images": images})
        thresholds = DetectionThresholds(confidence=0.3, multi_label=multi_label)
        placement = CanvasPlacement(width, height, placed.scale, placed.left, placed.top)
        expected = detections_in_images(torch.from_numpy(predictions), [placement], thresholds)[0].numpy()
        found = rows_of(detector(photograph))
        assert len(found) > 100
        np.testing.assert_array_equal(found, expected)


def test_a_file_for_one_shape_is_used_as_a_network_on_such_canvases(
    weights: Path, onnx_file: Path, tmp_path: Path
) -> None:
    description = fixed_description(224, 160, imgsz=224, strides=(8.0, 16.0, 32.0))
    detector = Detector(with_description(onnx_file, tmp_path / "fixed.onnx", description), Options(confidence=0.4))
    photograph = photographs()[0]
    canvas, placed = letterbox(photograph, (224, 160))
    predictor = Predictor(weights, confidence=0.4, device="cpu")
    images = torch.from_numpy(canvas[None]).permute(0, 3, 1, 2).float() / 255
    predictions = predictor.runtime.predict(images)
    placement = CanvasPlacement(640, 427, placed.scale, placed.left, placed.top)
    expected = detections_in_images(predictions, [placement], DetectionThresholds(confidence=0.4))[0].numpy()
    theirs = Detections(expected[:, :4], confidence=expected[:, 4], class_id=expected[:, 5].astype(int))
    assert_same_detections(detector(photograph), theirs)
    with pytest.raises(UsageError, match="`imgsz` must be left out, because the file takes 160x224 pixels only"):
        Detector(tmp_path / "fixed.onnx", Options(imgsz=320))


def test_classes_are_kept_by_name_and_index(weights: Path, onnx_file: Path) -> None:
    for classes in (["white dog"], ["0"], [1]):
        expected = Predictor(weights, classes=classes, device="cpu")(photographs()[0])
        assert_same_detections(Detector(onnx_file, Options(classes=classes))(photographs()[0]), expected)
    for wrong, message in [(["dog"], "got 'dog'"), ([2], "0 to 1, got 2"), ([], "at least one class")]:
        with pytest.raises(UsageError, match=message):
            Detector(onnx_file, Options(classes=wrong))


BAKED: NDArray[np.float32] = np.array(
    [
        [10, 10, 30, 30, 0.9, 1],
        [12, 40, 30, 60, 0.6, 0],
        [200, 0, 220, 9, 0.5, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    np.float32,
)


def test_detections_in_the_file_are_used_as_they_are(tmp_path: Path) -> None:
    """The image of 64x32 pixels is at 16, 16 on its canvas of 96x64; the third box is outside of it."""
    file = write_constant_graph(tmp_path / "a.onnx", {"detections": BAKED}, baked_description())
    image = np.zeros((32, 64, 3), np.uint8)
    found = Detector(file)(image)
    np.testing.assert_array_equal(found.xyxy, [[0, 0, 14, 14], [0, 24, 14, 32]])
    assert found.class_name == ("white dog", "cat")
    assert len(Detector(file, Options(confidence=0.7))(image)) == 1
    assert len(Detector(file, Options(max_detections=1))(image)) == 1
    assert Detector(file, Options(classes=["cat"]))(image).class_name == ("cat",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(confidence=0.1), "`confidence` must be at least 0.25, as in the file, .* got 0.1"),
        (Options(iou=0.5), "`iou` must be 0.45, as in the file, .* got 0.5"),
        (Options(max_detections=5), "`max_detections` must be at most 4, as in the file, .* got 5"),
        (Options(agnostic=True), "`agnostic` must be False, as in the file"),
        (Options(multi_label=True), "`multi_label` must be False, as in the file"),
    ],
)
def test_options_that_contradict_the_file_are_errors(options: Options, message: str, tmp_path: Path) -> None:
    file = write_constant_graph(tmp_path / "a.onnx", {"detections": BAKED}, baked_description())
    with pytest.raises(UsageError, match=message):
        Detector(file, options)


def test_a_batch_of_a_fixed_number_is_filled_up(tmp_path: Path) -> None:
    description = baked_description(shape={"batch": 3})
    file = write_constant_graph(tmp_path / "a.onnx", {"detections": BAKED}, description)
    assert len(Detector(file)(np.zeros((32, 64, 3), np.uint8))) == 2


def test_files_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    wrong = write_constant_graph(tmp_path / "wrong.onnx", {"output": BAKED}, small_description())
    narrow = write_constant_graph(tmp_path / "narrow.onnx", {"predictions": BAKED[:, :5]}, small_description())
    for path, message in [
        (tmp_path / "no.onnx", r"no\.onnx: file not found"),
        (tmp_path / "text.onnx", r"text\.onnx: onnxruntime cannot read the file"),
        (wrong, r"wrong\.onnx: the file does not fit its description: the output 'predictions' is missing"),
    ]:
        with pytest.raises(RuntimeFileError, match=message):
            Detector(path)
    with pytest.raises(RuntimeFileError, match=r"the output must have the shape \(rows, 6\), got \(4, 5\)"):
        Detector(narrow)(np.zeros((32, 64, 3), np.uint8))


def test_outputs_that_contradict_the_description_are_one_line(tmp_path: Path) -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    for class_id in (2, -1, np.nan):
        detections = BAKED.copy()
        detections[0, 5] = class_id
        file = write_constant_graph(tmp_path / "a.onnx", {"detections": detections}, baked_description())
        with pytest.raises(RuntimeFileError, match="the classes of detections must be 0 to 1"):
            Detector(file)(image)
    # attendet itself refuses such a description, so it is not validated.
    description = small_description().model_copy(update={"shape": InputShape.model_construct(batch=2**31)})
    file = write_constant_graph(tmp_path / "a.onnx", {"predictions": BAKED}, description)
    with pytest.raises(RuntimeFileError, match="onnxruntime cannot run the file: Unable to allocate"):
        Detector(file)(image)


def test_predictions_that_are_not_numbers_are_dropped(tmp_path: Path) -> None:
    predictions = np.full((5, 6), np.inf, np.float32)
    predictions[1:3] = np.nan
    predictions[3, :4] = [16, 16, np.inf, 8]
    predictions[4] = [40, 30, 20, 10, 0.5, 0.75]
    file = write_constant_graph(tmp_path / "a.onnx", {"predictions": predictions}, small_description())
    found = Detector(file)(np.zeros((32, 64, 3), np.uint8))
    assert found.to_list()[-1] == {"class_id": 1, "name": "white dog", "confidence": 0.75, "box": [14, 9, 34, 19]}
    assert np.isfinite(found.xyxy).all()


def test_files_are_images_in_display_orientation(weights: Path, onnx_file: Path, tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415 (for this test only)

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photographs()[1]).save(tmp_path / "a.png", exif=exif)
    found = Detector(onnx_file)(tmp_path / "a.png")
    assert_same_detections(found, Predictor(weights, device="cpu")(read_image(tmp_path / "a.png")))


def test_missing_thresholds_come_from_the_file(tmp_path: Path) -> None:
    """Two boxes of one class overlap with an IoU of 0.68, between the thresholds of YOLOv5 and YOLOv8."""
    predictions = np.array([[24, 24, 20, 10, 0.9, 0.1], [26, 25, 20, 10, 0.8, 0.1]], np.float32)
    image = np.zeros((64, 64, 3), np.uint8)
    for suppression, expected in (
        (SuppressionDefaults(0.45, 0.6, 1000), 1),
        (SuppressionDefaults(0.7, 0.7, 300), 2),
        (SuppressionDefaults(0.7, 0.7, 1), 1),
    ):
        description = small_description(suppression=suppression)
        file = write_constant_graph(tmp_path / "a.onnx", {"predictions": predictions}, description)
        assert len(Detector(file)(image)) == len(Predictor(file, device="cpu")(image)) == expected
        assert len(Detector(file, Options(iou=0.69, max_detections=5))(image)) == 2
