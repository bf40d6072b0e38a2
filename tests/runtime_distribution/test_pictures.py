"""Boxes are drawn as by attendet, bit for bit; labels, too, in the same font."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision as sv
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from attendet.prediction import drawing
from attendet.utils.fonts import DEFAULT_FONT
from attendet_runtime.box_labels import drawable_names, label_font
from attendet_runtime.detections import Detections
from attendet_runtime.drawing import draw_detections
from attendet_runtime.errors import UsageError
from attendet_runtime.palette import class_colors
from attendet_runtime.rectangles import draw_rectangle
from tests.helpers.calibrated_detector import NAMES, photographs

PLACES = st.integers(-30, 130)


@given(x1=PLACES, y1=PLACES, x2=PLACES, y2=PLACES, thickness=st.integers(1, 40))
def test_rectangles_are_drawn_as_by_opencv(x1: int, y1: int, x2: int, y2: int, thickness: int) -> None:
    expected, image = np.zeros((2, 90, 110, 3), np.uint8)
    cv2.rectangle(expected, (x1, y1), (x2, y2), (30, 20, 10), thickness)
    draw_rectangle(image, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), (30, 20, 10), thickness)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("num_classes", [1, 21, 22, 80, 91, 365, 601, 1203])
def test_classes_have_the_same_colors_as_in_attendet(num_classes: int) -> None:
    expected = [color.as_rgb() for color in drawing._palette(num_classes).colors]
    assert class_colors(num_classes) == expected


def random_detections(number: int, height: int, width: int) -> Detections:
    """Return detections of the two classes, in order of confidence, within an image."""
    rng = np.random.default_rng(number)
    corners = np.sort(rng.random((number, 2, 2)), axis=1) * [width, height]
    class_id = rng.integers(0, 2, number)
    confidence = np.sort(rng.random(number))[::-1]
    boxes = corners.reshape(number, 4).astype(np.float32)
    return Detections(boxes, confidence.astype(np.float32), class_id, tuple(NAMES[index] for index in class_id))


def their_detections(detections: Detections) -> sv.Detections:
    return sv.Detections(detections.xyxy, confidence=detections.confidence, class_id=detections.class_id)


@pytest.mark.parametrize("number", [0, 1, 40])
@pytest.mark.parametrize("thickness", [None, 1, 6])
def test_pictures_without_labels_equal_pictures_by_attendet(number: int, thickness: int | None) -> None:
    image = photographs()[1]
    detections = random_detections(number, *image.shape[:2])
    expected = drawing.draw_detections(
        image, their_detections(detections), NAMES, drawing.DrawingStyle(thickness, labels=False)
    )
    drawn = draw_detections(image, detections, NAMES, thickness=thickness, labels=False)
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("shape", [(427, 640), (60, 90), (900, 1400)])
def test_pictures_with_labels_in_the_same_font_equal_pictures_by_attendet(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    detections = random_detections(30, *shape)
    expected = drawing.draw_detections(image, their_detections(detections), NAMES)
    np.testing.assert_array_equal(draw_detections(image, detections, NAMES, font=Path(DEFAULT_FONT)), expected)


def test_only_labels_differ_in_the_font_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attendet_runtime.box_labels._SYSTEM_FONT", "no such font.ttf")
    image = photographs()[0]
    detections = Detections(
        np.array([[100, 200, 300, 400]], np.float32), np.array([0.5], np.float32), np.array([1]), ("white dog",)
    )
    expected = drawing.draw_detections(image, their_detections(detections), NAMES)
    differs = (draw_detections(image, detections, NAMES) != expected).any(2)
    rows, columns = np.nonzero(differs)
    assert differs.any()
    assert rows.max() <= 200
    assert columns.min() >= 100


def test_a_class_whose_name_the_font_cannot_draw_is_named_by_its_index() -> None:
    names = ["cat", "ζ", "猫", "a\tb", "b c"]
    assert drawable_names(names, ImageFont.truetype(DEFAULT_FONT, 12)) == ["cat", "ζ", "class 2", "class 3", "b c"]


def test_the_font_must_be_a_font(tmp_path: Path) -> None:
    (tmp_path / "a.ttf").write_text("letters")
    with pytest.raises(UsageError, match=r"a\.ttf: the font must be a TrueType or OpenType file"):
        label_font(tmp_path / "a.ttf", 12)
