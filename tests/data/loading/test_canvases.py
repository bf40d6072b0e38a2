"""Shapes of canvases against their definitions and numbers computed by hand."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.loading.canvases import SingleCanvasRule, canvas_shapes
from attendet.data.loading.resizing import scaled_shapes


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.integers(1, 1280),
    st.sampled_from([8, 32, 64]),
    st.sampled_from([("border", Fraction(1, 2)), ("tight", Fraction(0))]),
)
def test_the_smallest_canvas_with_a_border(
    width: int, height: int, size: int, stride: int, rule: tuple[SingleCanvasRule, Fraction]
) -> None:
    name, border = rule
    sizes = np.array([[width, height]])
    (scaled,), (canvas,) = scaled_shapes(sizes, size).tolist(), canvas_shapes(sizes, size, stride, name).tolist()
    for scaled_side, canvas_side in zip(scaled, canvas, strict=True):
        assert canvas_side % stride == 0
        # It leaves the border, and a canvas that is smaller by a stride would not.
        assert canvas_side - stride < scaled_side + border * stride <= canvas_side


def test_shapes_by_hand() -> None:
    sizes = np.array([[400, 100], [1000, 1], [320, 321], [640, 448]])
    assert canvas_shapes(sizes, 320, 32, "tight").tolist() == [[96, 320], [32, 320], [320, 320], [224, 320]]
    # 80 + 16, 1 + 16, 320 + 16, and 224 + 16 pixels, rounded up to a multiple of 32.
    assert canvas_shapes(sizes, 320, 32).tolist() == [[96, 352], [32, 352], [352, 352], [256, 352]]
    assert canvas_shapes(sizes, 320, 64, "square").tolist() == [[320, 320]] * 4
    assert canvas_shapes(sizes, 300, 64, "square").tolist() == [[320, 320]] * 4


@pytest.mark.parametrize("seed", range(3))
def test_canvases_of_yolov5_are_shared_by_32_images_of_similar_ratio(seed: int) -> None:
    # By ratio of height to width: 32 wide images up to 1/2, 32 from wide to tall, and 3 tall ones.
    wide = [(200, 50 + 50 * (number == 31)) for number in range(32)]
    mixed = [(100, 80)] * 16 + [(80, 100)] * 16
    tall = [(50, 100), (50, 100), (40, 100)]
    sizes = np.array(wide + mixed + tall)
    order = np.random.default_rng(seed).permutation(len(sizes))
    shapes = canvas_shapes(sizes[order], 640, 32, "yolov5")
    for position, image in enumerate(order.tolist()):
        # Height 1/2 of 640 is 10 strides, plus 1/2: 11. A side of 640 is 20 strides, plus 1/2: 21. Tall images share
        # the canvas of the widest of them: 1/2.
        expected = [11 * 32, 21 * 32] if image < 32 else [21 * 32, 21 * 32] if image < 64 else [21 * 32, 11 * 32]
        assert shapes[position].tolist() == expected
