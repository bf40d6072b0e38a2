"""Canvases equal the canvases of attendet bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.loading.canvases import border_shapes, canvas_shapes
from attendet.data.loading.resizing import letterbox
from attendet.detection.postprocess import CanvasPlacement, to_image_pixels
from attendet_runtime.description import BorderRule, Description, parse_description
from attendet_runtime.letterbox import place_image, to_network_input
from tests.helpers.calibrated_detector import photographs
from tests.runtime_distribution.exported_files import fixed_description, small_description

SIZES = st.tuples(st.integers(1, 400), st.integers(1, 400))


def described(**changes: object) -> Description:
    return parse_description(small_description(**changes).to_json())


@given(size=SIZES, imgsz=st.integers(1, 320), stride=st.sampled_from([8, 32, 64]))
def test_canvases_equal_those_in_attendet(size: tuple[int, int], imgsz: int, stride: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    shape = canvas_shapes(np.array([size[::-1]]), imgsz, stride)[0].tolist()
    expected, position = letterbox(image, imgsz, tuple(shape))
    canvas, placement = place_image(image, described(imgsz=imgsz, strides=(8.0, float(stride))))
    np.testing.assert_array_equal(canvas, expected)
    assert (placement.scale, placement.left, placement.top) == (position.scale, position.left, position.top)


@given(size=SIZES, rows=st.integers(1, 10), columns=st.integers(1, 10))
def test_images_are_fitted_into_fixed_canvases_as_by_attendet(size: tuple[int, int], rows: int, columns: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    # The canvas of a file has sides that are multiples of the largest stride.
    height, width = 32 * rows, 32 * columns
    expected, position = letterbox(image, (height, width))
    canvas, placement = place_image(image, parse_description(fixed_description(height, width).to_json()))
    np.testing.assert_array_equal(canvas, expected)
    assert (placement.scale, placement.left, placement.top) == (position.scale, position.left, position.top)


def test_the_border_and_the_gray_of_the_file_are_used() -> None:
    rule = BorderRule(border=1.0, gray=7)
    image = np.zeros((480, 640, 3), np.uint8)
    canvas, placement = place_image(image, Description(("cell",), 320, (32.0,), rule))
    assert canvas.shape[:2] == tuple(border_shapes(np.array([[640, 480]]), 320, 32, border=1)[0].tolist())
    assert (canvas[0, 0].tolist(), canvas[placement.top, placement.left].tolist()) == ([7, 7, 7], [0, 0, 0])


def test_the_input_of_the_network_is_that_of_attendet() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    expected = torch.from_numpy(levels[None]).permute(0, 3, 1, 2).to(torch.float32).div_(255)
    values = to_network_input(levels)
    np.testing.assert_array_equal(values, expected.numpy())
    assert values.flags.c_contiguous


@pytest.mark.parametrize("imgsz", [96, 640, 1000])
def test_boxes_return_to_the_image_as_in_attendet(imgsz: int) -> None:
    image = photographs()[0]
    _, placement = place_image(image, described(imgsz=imgsz))
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.uniform(-50, 700, (500, 4)), rng.random((500, 2))], axis=1).astype(np.float32)
    height, width = image.shape[:2]
    there = CanvasPlacement(width, height, placement.scale, placement.left, placement.top)
    expected = to_image_pixels(torch.from_numpy(rows), there).numpy()
    np.testing.assert_array_equal(placement.to_image(rows[:, :4]), expected[:, :4])
