"""The predictor against the bare network and against boxes computed by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from supervision import Detections
from torchvision.ops import batched_nms, box_convert

from attendet import Predictor
from attendet.data.loading.canvases import SingleCanvasRule
from attendet.errors import AttendetError, DataError, OptionError, UnknownNameError, WeightsError
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import NAMES, calibrated_detector, photographs, write_weights
from tests.helpers.typed_access import detector_of, head_convolutions, not_none, tensor


def reference_detections(
    detector: Detector,
    canvas: NDArray[np.uint8],
    confidence: float = 0.25,
    only: int | None = None,
    *,
    agnostic: bool = False,
    iou: float = 0.45,
) -> NDArray[np.float32]:
    """Return rows x1, y1, x2, y2, confidence, class of the unfused network, in pixels of the canvas."""
    with torch.no_grad():
        rows = detector.decode(detector(torch.from_numpy(canvas).permute(2, 0, 1)[None] / 255))[0]
    scores, classes = rows[:, 4:].max(dim=1)
    kept = (scores > confidence) & (
        (classes == only) if only is not None else torch.ones_like(classes, dtype=torch.bool)
    )
    boxes, scores, classes = box_convert(rows[kept, :4], "cxcywh", "xyxy"), scores[kept], classes[kept]
    best = batched_nms(boxes, scores, torch.zeros_like(classes) if agnostic else classes, iou)
    return torch.cat([boxes[best], scores[best, None], classes[best, None]], dim=1).numpy()


def assert_same(found: Detections, expected: NDArray[np.float32], width: int, height: int) -> None:
    expected = expected.copy()
    expected[:, [0, 2]] = expected[:, [0, 2]].clip(0, width)
    expected[:, [1, 3]] = expected[:, [1, 3]].clip(0, height)
    expected = expected[(expected[:, 2] > expected[:, 0]) & (expected[:, 3] > expected[:, 1])]
    assert len(expected) > 5, "a test without detections shows nothing"
    np.testing.assert_allclose(not_none(found.confidence), expected[:, 4], atol=1e-4)
    np.testing.assert_array_equal(found.class_id, expected[:, 5])
    np.testing.assert_allclose(found.xyxy, expected[:, :4], atol=2e-2)


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    """A predictor that gives an image of 96x64 pixels to the network as it is."""
    return Predictor(weights, device="cpu", canvas="tight")


def test_an_image_that_needs_no_scaling(predictor: Predictor, detector: Detector) -> None:
    image = photographs()[0][100:164, 200:296]
    found = predictor(image)
    assert_same(found, reference_detections(detector, image), 96, 64)
    assert list(found.data["class_name"]) == [NAMES[number] for number in np.asarray(found.class_id)]
    assert (np.diff(np.asarray(found.confidence)) <= 0).all()
    assert repr(predictor) == "Predictor(num_classes=2, imgsz=96, runtime=TorchRuntime)"


def test_a_large_image_is_averaged_and_boxes_are_in_its_pixels(predictor: Predictor, detector: Detector) -> None:
    image = photographs()[1][:384, :576]
    small = image.reshape(64, 6, 96, 6, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    expected = reference_detections(detector, small)
    expected[:, :4] *= 6
    found = predictor(image)
    # The mean of 36 pixels may be rounded up instead of down, a difference of 1/255.
    assert abs(len(found) - len(expected)) <= len(expected) // 10
    np.testing.assert_allclose(np.asarray(found.confidence)[:5], expected[:5, 4], atol=0.02)
    np.testing.assert_allclose(found.xyxy[:5], expected[:5, :4].clip(0, [576, 384, 576, 384]), atol=3)


@pytest.mark.parametrize(
    ("rule", "shape", "left", "top"),
    # 50 + 16 and 96 + 16 pixels are rounded up to 96 and 128.
    [("tight", (96, 64), 7, 0), ("square", (96, 96), 23, 0), ("border", (128, 96), 23, 16)],
)
def test_padding_is_gray_and_centered(
    weights: Path, detector: Detector, rule: SingleCanvasRule, shape: tuple[int, int], left: int, top: int
) -> None:
    image = photographs()[1][100:196, 200:250]
    canvas = np.full((*shape, 3), 114, np.uint8)
    canvas[top : top + 96, left : left + 50] = image
    expected = reference_detections(detector, canvas)
    expected[:, :4] -= np.array([left, top, left, top], np.float32)
    assert_same(Predictor(weights, device="cpu", canvas=rule)(image), expected, 50, 96)


@pytest.mark.parametrize("model_name", ["yolov8n"], indirect=True)
def test_a_network_without_anchors_has_the_iou_of_its_family(weights: Path, detector: Detector) -> None:
    image = photographs()[0][100:164, 200:296]
    assert_same(
        Predictor(weights, device="cpu", canvas="tight")(image), reference_detections(detector, image, iou=0.7), 96, 64
    )
    found = Predictor(weights, device="cpu", canvas="tight", iou=0.45)(image)
    assert_same(found, reference_detections(detector, image), 96, 64)


def test_the_border_is_the_default(weights: Path) -> None:
    image = photographs()[0][100:164, 200:296]
    found, expected = Predictor(weights, device="cpu")(image), Predictor(weights, device="cpu", canvas="border")(image)
    assert found == expected
    assert found != Predictor(weights, device="cpu", canvas="tight")(image)


def test_boxes_of_a_constant_network_computed_by_hand(tmp_path: Path) -> None:
    detector = calibrated_detector()
    with torch.no_grad():
        for level in head_convolutions(detector):
            level.weight.zero_()
            not_none(level.bias).fill_(-20)
        # The first anchor of the coarsest level, 116x90, detects in every cell: the sides are a quarter of the
        # anchor's, the objectness is 0.8, and the score of class 1 is 0.9.
        sides, objectness, score = (np.log(share / (1 - share)) for share in (0.25, 0.8, 0.9))
        tensor(detector, "head.m.2.bias")[:7] = torch.tensor([0, 0, sides, sides, objectness, -20, score])
    found = Predictor(write_weights(tmp_path / "w.safetensors", detector), imgsz=128, device="cpu", canvas="tight")(
        np.zeros((200, 400, 3), np.uint8)
    )
    # 400 pixels are scaled to 128, a factor of 0.32. Each of four by two cells of 32 pixels has a box of 29 x 22.5 at
    # its center.
    x, y = np.meshgrid(np.array([16, 48, 80, 112]) / 0.32, np.array([16, 48]) / 0.32)
    expected = np.stack([x - 14.5 / 0.32, y - 11.25 / 0.32, x + 14.5 / 0.32, y + 11.25 / 0.32], axis=-1).reshape(-1, 4)
    order = np.lexsort((found.xyxy[:, 0].round(), found.xyxy[:, 1].round()))
    np.testing.assert_allclose(found.xyxy[order], expected, atol=1e-3)
    np.testing.assert_allclose(not_none(found.confidence), 0.72, atol=1e-6)
    assert list(found.data["class_name"]) == ["white dog"] * 8


def test_a_batch_gives_the_detections_of_its_images(predictor: Predictor) -> None:
    temple, flower = photographs()
    images = [temple, flower[:, :300], temple[:200], flower, np.zeros((1, 1, 3), np.uint8)]
    for together, image in zip(predictor.batch(images), images, strict=True):
        alone = predictor(image)
        np.testing.assert_allclose(together.xyxy, alone.xyxy, atol=1e-2)
        np.testing.assert_allclose(not_none(together.confidence), not_none(alone.confidence), atol=1e-4)
        np.testing.assert_array_equal(together.class_id, alone.class_id)
    assert predictor.batch([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 5)])
def test_tiny_and_thin_images(predictor: Predictor, shape: tuple[int, int]) -> None:
    found = predictor(np.full((*shape, 3), 200, np.uint8))
    height, width = shape
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= [width, height, width, height]).all()
    assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()


def test_every_kind_of_image_is_accepted(predictor: Predictor, tmp_path: Path) -> None:
    picture = Image.fromarray(photographs()[0][100:164, 200:296])
    picture.save(tmp_path / "a.png")
    expected = predictor(np.asarray(picture))
    assert predictor(tmp_path / "a.png") == expected
    assert predictor(str(tmp_path / "a.png")) == expected
    assert predictor(picture) == expected
    assert predictor(picture.convert("RGBA")) == expected
    assert predictor(np.asarray(picture.convert("RGBA"))) == expected
    gray = predictor(picture.convert("L").convert("RGB"))
    assert predictor(picture.convert("L")) == gray
    assert predictor(np.asarray(picture.convert("L"))) == gray
    assert predictor(np.asarray(picture.convert("L"))[..., None]) == gray
    assert gray != expected


def test_exif_rotation_applies_to_files_and_not_to_pillow_images(predictor: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photographs()[0][:192, :320]).save(tmp_path / "a.png", exif=exif)
    stored = Image.open(tmp_path / "a.png")
    found = predictor(tmp_path / "a.png")
    assert found == predictor(ImageOps.exif_transpose(stored))
    assert found.xyxy[:, 3].max() > 192
    assert predictor(stored) == predictor(np.asarray(stored))


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("classes", [["white dog"], [1], ["1"]])
def test_a_class_filter_applies_before_suppression(
    weights: Path, detector: Detector, classes: list[str | int], agnostic: bool
) -> None:
    image = photographs()[0][100:164, 200:296]
    found = Predictor(weights, classes=classes, agnostic=agnostic, device="cpu", canvas="tight")(image)
    assert_same(found, reference_detections(detector, image, only=1, agnostic=agnostic), 96, 64)


def test_options_reach_non_maximum_suppression(weights: Path, detector: Detector) -> None:
    image = photographs()[0][100:164, 200:296]
    predictor = Predictor(weights, confidence=0.5, max_detections=6, agnostic=True, device="cpu", canvas="tight")
    found = predictor(image)
    assert_same(found, reference_detections(detector, image, confidence=0.5, agnostic=True)[:6], 96, 64)


def test_timings_count_each_stage(weights: Path) -> None:
    predictor = Predictor(weights, device="cpu")
    predictor(photographs()[0])
    assert list(predictor.timings.seconds) == ["read", "prepare", "network", "nms"]
    assert all(seconds > 0 for seconds in predictor.timings.seconds.values())


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"half": True}, OptionError, "`half` needs a GPU, got the device 'cpu'; leave it out"),
        (
            {"device": "tpu"},
            OptionError,
            "`device` must be auto, cpu, cuda, or GPU indices such as 0 or 0,1, got 'tpu'",
        ),
        ({"device": "99"}, OptionError, "CUDA device 99 not found"),
        (
            {"device": "meta"},
            OptionError,
            "`device` must be auto, cpu, cuda, or GPU indices such as 0 or 0,1, got 'meta'",
        ),
        ({"classes": ["white dgo"]}, UnknownNameError, "did you mean 'white dog'"),
        ({"classes": [2]}, OptionError, "a class must be a name or 0 to 1, got 2"),
        ({"classes": []}, OptionError, "`classes` must name at least one class, got none; leave it out to keep all"),
        ({"imgsz": 0}, OptionError, "`imgsz` must be 1 to 8192 pixels, got 0"),
        ({"imgsz": 10**6}, OptionError, "`imgsz` must be 1 to 8192 pixels, got 1000000"),
        ({"confidence": 25}, OptionError, "`confidence` must be a number from 0 to 1, got 25.0"),
        ({"max_detections": 0}, OptionError, "`max_detections` must be a positive integer, got 0"),
    ],
)
def test_invalid_options_are_refused(weights: Path, options: dict, kind: type[AttendetError], message: str) -> None:
    with pytest.raises(kind, match=message):
        Predictor(weights, **{"device": "cpu", **options})


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3)),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
        Image.new("I;16", (8, 8)),
        Image.new("F", (8, 8)),
    ],
)
def test_arrays_that_are_not_images_are_refused(predictor: Predictor, image: NDArray | Image.Image) -> None:
    with pytest.raises(DataError, match=r"an image must|a Pillow image must"):
        predictor(image)


@pytest.mark.parametrize("place", ["canvas", "network"])
def test_too_little_memory_is_an_option_error(weights: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    predictor = Predictor(weights, device="cpu")
    # No machine has this much memory. NumPy and torch raise different exceptions.
    if place == "canvas":
        monkeypatch.setattr("attendet.prediction.predictor.letterbox", lambda *_: np.empty(2**60, np.uint8))
    else:
        monkeypatch.setattr(detector_of(predictor), "forward", lambda _: torch.empty(2**60))
    with pytest.raises(OptionError, match=r"not enough memory for 2 images of 128x96 pixels; use a smaller"):
        predictor.batch([np.zeros((64, 96, 3), np.uint8)] * 2)


def test_other_runtime_errors_are_not_taken_for_too_little_memory(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(weights, device="cpu")
    monkeypatch.setattr(detector_of(predictor), "forward", lambda batch: batch + torch.zeros(5, 7))
    with pytest.raises(RuntimeError, match="size of tensor"):
        predictor(np.zeros((64, 96, 3), np.uint8))


def test_missing_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"the folder has no weights/best\.safetensors"):
        Predictor(tmp_path, device="cpu")
    with pytest.raises(WeightsError, match=r"best\.safetensors: weights file not found"):
        Predictor(tmp_path / "best.safetensors", device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("half", [False, True])
def test_a_gpu_detects_the_same(weights: Path, half: bool) -> None:
    image = photographs()[0]
    expected = Predictor(weights, device="cpu", confidence=0.5)(image)
    found = Predictor(weights, device="cuda", half=half, confidence=0.5)(image)
    sure = [np.asarray(detections.confidence)[:5] for detections in (found, expected)]
    # Half precision has 11 bits of mantissa, and the network about sixty layers.
    np.testing.assert_allclose(sure[0], sure[1], atol=0.05 if half else 5e-3)
    np.testing.assert_allclose(found.xyxy[:5], expected.xyxy[:5], atol=10 if half else 1)
