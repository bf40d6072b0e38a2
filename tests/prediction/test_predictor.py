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
from attendet.errors import AttendetError, DataError, OptionError, UnknownNameError, WeightsError
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import NAMES, calibrated_detector, photographs, write_weights
from tests.helpers.typed_access import head_convolutions, not_none, tensor


def by_hand(
    detector: Detector,
    canvas: NDArray[np.uint8],
    confidence: float = 0.25,
    only: int | None = None,
    *,
    agnostic: bool = False,
) -> NDArray[np.float32]:
    """Run the network with its batch norms on a canvas; x1, y1, x2, y2, confidence, class, in pixels of the canvas."""
    with torch.no_grad():
        rows = detector.decode(detector(torch.from_numpy(canvas).permute(2, 0, 1)[None] / 255))[0]
    scores, classes = (rows[:, 4:5] * rows[:, 5:]).max(dim=1)
    kept = (scores > confidence) & (
        (classes == only) if only is not None else torch.ones_like(classes, dtype=torch.bool)
    )
    boxes, scores, classes = box_convert(rows[kept, :4], "cxcywh", "xyxy"), scores[kept], classes[kept]
    best = batched_nms(boxes, scores, torch.zeros_like(classes) if agnostic else classes, 0.45)
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
    return Predictor(weights, device="cpu")


def test_an_image_of_the_right_size(predictor: Predictor, detector: Detector) -> None:
    image = photographs()[0][100:164, 200:296]
    found = predictor(image)
    assert_same(found, by_hand(detector, image), 96, 64)
    assert list(found.data["class_name"]) == [NAMES[number] for number in np.asarray(found.class_id)]
    assert (np.diff(np.asarray(found.confidence)) <= 0).all()


def test_a_large_image_is_averaged_and_boxes_come_back_in_its_pixels(predictor: Predictor, detector: Detector) -> None:
    image = photographs()[1][:384, :576]
    small = image.reshape(64, 6, 96, 6, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    expected = by_hand(detector, small)
    expected[:, :4] *= 6
    found = predictor(image)
    # The mean of 36 pixels may round the other way, which is 1/255.
    assert abs(len(found) - len(expected)) <= len(expected) // 10
    np.testing.assert_allclose(np.asarray(found.confidence)[:5], expected[:5, 4], atol=0.02)
    np.testing.assert_allclose(found.xyxy[:5], expected[:5, :4].clip(0, [576, 384, 576, 384]), atol=3)


def test_padding_is_gray_and_centered(predictor: Predictor, detector: Detector) -> None:
    image = photographs()[0][100:196, 200:250]
    canvas = np.full((96, 64, 3), 114, np.uint8)
    canvas[:, 7:57] = image
    expected = by_hand(detector, canvas)
    expected[:, [0, 2]] -= 7
    assert_same(predictor(image), expected, 50, 96)


def test_boxes_computed_on_paper(tmp_path: Path) -> None:
    detector = calibrated_detector()
    with torch.no_grad():
        for level in head_convolutions(detector):
            level.weight.zero_()
            not_none(level.bias).fill_(-20)
        # The coarsest level's first anchor, 116x90, answers everywhere: sides a quarter, objectness 0.8, class 0.9.
        sides, objectness, score = (np.log(share / (1 - share)) for share in (0.25, 0.8, 0.9))
        tensor(detector, "head.m.2.bias")[:7] = torch.tensor([0, 0, sides, sides, objectness, -20, score])
    found = Predictor(write_weights(tmp_path / "w.safetensors", detector), imgsz=128, device="cpu")(
        np.zeros((200, 400, 3), np.uint8)
    )
    # 400 pixels become 128: 0.32. Four by two cells of 32 pixels, each a box of 29 x 22.5 at its center.
    x, y = np.meshgrid(np.array([16, 48, 80, 112]) / 0.32, np.array([16, 48]) / 0.32)
    expected = np.stack([x - 14.5 / 0.32, y - 11.25 / 0.32, x + 14.5 / 0.32, y + 11.25 / 0.32], axis=-1).reshape(-1, 4)
    order = np.lexsort((found.xyxy[:, 0].round(), found.xyxy[:, 1].round()))
    np.testing.assert_allclose(found.xyxy[order], expected, atol=1e-3)
    np.testing.assert_allclose(not_none(found.confidence), 0.72, atol=1e-6)
    assert list(found.data["class_name"]) == ["white dog"] * 8


def test_a_batch_gives_what_its_images_give_alone(predictor: Predictor) -> None:
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


def test_images_of_every_kind(predictor: Predictor, tmp_path: Path) -> None:
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


def test_a_file_is_turned_as_exif_says_and_a_picture_in_hand_is_not(predictor: Predictor, tmp_path: Path) -> None:
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
def test_classes_are_chosen_before_anything_suppresses_them(
    weights: Path, detector: Detector, classes: list[str | int], agnostic: bool
) -> None:
    image = photographs()[0][100:164, 200:296]
    found = Predictor(weights, classes=classes, agnostic=agnostic, device="cpu")(image)
    assert_same(found, by_hand(detector, image, only=1, agnostic=agnostic), 96, 64)


def test_options_reach_the_suppression(weights: Path, detector: Detector) -> None:
    image = photographs()[0][100:164, 200:296]
    found = Predictor(weights, confidence=0.5, max_detections=6, agnostic=True, device="cpu")(image)
    assert_same(found, by_hand(detector, image, confidence=0.5, agnostic=True)[:6], 96, 64)


def test_time_is_counted_by_stage(weights: Path) -> None:
    predictor = Predictor(weights, device="cpu")
    predictor(photographs()[0])
    assert list(predictor.timings.seconds) == ["read", "prepare", "network", "nms"]
    assert all(seconds > 0 for seconds in predictor.timings.seconds.values())


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"half": True}, OptionError, "half precision on cpu; it needs a GPU"),
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
        ({"classes": [2]}, OptionError, "there is no class 2; give 0 to 1, or a name"),
        ({"classes": []}, OptionError, "no class is kept"),
        ({"imgsz": 0}, OptionError, "imgsz is 0"),
        ({"imgsz": 10**6}, OptionError, "give 1 to 8192 pixels"),
        ({"confidence": 25}, OptionError, "confidence is 25"),
        ({"max_detections": 0}, OptionError, "max_detections is 0"),
    ],
)
def test_options_that_cannot_be(weights: Path, options: dict, kind: type[AttendetError], message: str) -> None:
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
def test_what_is_no_image(predictor: Predictor, image: NDArray | Image.Image) -> None:
    with pytest.raises(DataError, match=r"give|convert"):
        predictor(image)


@pytest.mark.parametrize("place", ["canvas", "network"])
def test_too_little_memory_is_an_error_of_ours(weights: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    predictor = Predictor(weights, device="cpu")
    # More than any machine has: NumPy and torch refuse each in its own way.
    if place == "canvas":
        monkeypatch.setattr("attendet.prediction.predictor.letterbox", lambda *_: np.empty(2**60, np.uint8))
    else:
        monkeypatch.setattr(predictor._detector, "forward", lambda _: torch.empty(2**60))
    with pytest.raises(OptionError, match=r"cpu has not enough memory for 2 images of 96x64 pixels; take a smaller"):
        predictor.batch([np.zeros((64, 96, 3), np.uint8)] * 2)


def test_a_defect_is_not_taken_for_too_little_memory(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(weights, device="cpu")
    monkeypatch.setattr(predictor._detector, "forward", lambda batch: batch + torch.zeros(5, 7))
    with pytest.raises(RuntimeError, match="size of tensor"):
        predictor(np.zeros((64, 96, 3), np.uint8))


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"the folder has no weights/best\.safetensors"):
        Predictor(tmp_path, device="cpu")
    with pytest.raises(WeightsError, match="no such file"):
        Predictor(tmp_path / "best.safetensors", device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("half", [False, True])
def test_a_gpu_sees_the_same(weights: Path, half: bool) -> None:
    image = photographs()[0]
    expected = Predictor(weights, device="cpu", confidence=0.5)(image)
    found = Predictor(weights, device="cuda", half=half, confidence=0.5)(image)
    sure = [np.asarray(detections.confidence)[:5] for detections in (found, expected)]
    # Eleven bits of mantissa, through some sixty layers.
    np.testing.assert_allclose(sure[0], sure[1], atol=0.05 if half else 5e-3)
    np.testing.assert_allclose(found.xyxy[:5], expected.xyxy[:5], atol=10 if half else 1)
