"""Scaling and padding against numbers computed by hand."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attendet.data.loading.canvases import canvas_shapes
from attendet.data.loading.resizing import letterbox, resize, scaled_shapes


@pytest.mark.parametrize(
    ("size", "scaled", "left", "top"),
    # 100x50 at 64: 64x32, with (64 − 32) / 2 = 16 above.
    [
        ((100, 50), (64, 32), 0, 16),
        ((50, 100), (32, 64), 16, 0),
        ((64, 64), (64, 64), 0, 0),
        ((16, 8), (64, 32), 0, 16),
    ],
)
def test_an_image_on_a_square(size: tuple[int, int], scaled: tuple[int, int], left: int, top: int) -> None:
    width, height = size
    canvas, position = letterbox(np.full((height, width, 3), 200, np.uint8), 64)
    assert (position.left, position.top) == (left, top)
    assert position.scale == (scaled[0] / width, scaled[1] / height)
    rows, columns = np.flatnonzero((canvas == 200).all(2).any(1)), np.flatnonzero((canvas == 200).all(2).any(0))
    assert (rows[0], rows[-1] + 1) == (top, top + scaled[1])
    assert (columns[0], columns[-1] + 1) == (left, left + scaled[0])
    assert (canvas[(canvas != 200).any(2)] == 114).all()


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([32, 64, 96]))
def test_boxes_are_converted_to_the_canvas_and_back(width: int, height: int, size: int) -> None:
    rows, columns = canvas_shapes(np.array([[width, height]]), size, 32)[0].tolist()
    shape = (rows, columns)
    canvas, position = letterbox(np.zeros((height, width, 3), np.uint8), size, shape)
    assert canvas.shape == (*shape, 3)
    boxes = np.array([[0.0, 0, width, height], [0.25 * width, 0.5 * height, 0.5 * width, height]])
    on_canvas = position.to_canvas(boxes)
    assert (on_canvas >= 0).all()
    assert (on_canvas <= np.tile(shape[::-1], 2) + 1e-9).all()
    np.testing.assert_allclose(position.to_image(on_canvas), boxes, atol=1e-9)


def test_shrinking_averages_over_areas() -> None:
    # One white pixel in 4x4 makes the result gray; sampling every fourth pixel would lose it.
    image = np.zeros((64, 64, 3), np.uint8)
    image[1::4, 1::4] = 255
    shrunk = resize(image, 16)
    assert np.unique(shrunk).tolist() == [16]


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1280))
def test_sizes_against_exact_fractions(width: int, height: int, size: int) -> None:
    (scaled,) = scaled_shapes(np.array([[width, height]]), size).tolist()
    for side, scaled_side in zip((height, width), scaled, strict=True):
        exact = Fraction(side * size, max(width, height))
        assert abs(scaled_side - exact) <= Fraction(1, 2) or scaled_side == 1
