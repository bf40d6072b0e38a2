"""Boxes move with the pixels: the color of a rectangle shows where it is after each augmentation."""

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attendet.data.loading.augmentation import (
    Augmentation,
    TrainingSample,
    flip,
    jitter_colors,
    mixup,
    mosaic,
    pad,
    warp,
)

IDENTITY = Augmentation(hsv_h=0, hsv_s=0, hsv_v=0, translate=0, scale=0, fliplr=0, mosaic=0)
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)
SEEDS = st.integers(0, 2**32 - 1)


def rectangle_sample(
    box: tuple[int, int, int, int], shape: tuple[int, int] = (96, 128), category: int = 0
) -> TrainingSample:
    image = np.full((*shape, 3), 20, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = COLORS[category]
    return TrainingSample(image, np.array([box], np.float64), np.array([category]))


def find_color(image: NDArray[np.uint8], category: int = 0) -> NDArray[np.float64] | None:
    """Return the smallest box around the pixels whose color is near that of the class, or None."""
    near = np.abs(image.astype(int) - COLORS[category]).max(2) < 110
    if not near.any():
        return None
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def assert_boxes_match_colors(sample: TrainingSample, tolerance: float, max_area: float = 200) -> None:
    """Assert that each box is around its color, and that a color without a box covers a small area.

    Args:
        sample: A sample with at most one object per class.
        tolerance: Largest distance between the sides of the box and of the color, in pixels.
        max_area: Area that a color without a box may cover, in square pixels.
    """
    for category in range(len(COLORS)):
        found, boxes = find_color(sample.image, category), sample.boxes[sample.classes == category]
        if len(boxes):
            assert found is not None
            np.testing.assert_allclose(boxes[0], found, atol=tolerance)
        elif found is not None:
            sides = found[2:] - found[:2]
            # Its object was cut down to a tenth, or to two pixels and the blur of interpolation around them.
            assert sides.min() <= 4 or sides.prod() < max_area


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.tuples(st.integers(0, 80), st.integers(0, 50)), st.tuples(st.integers(20, 48), st.integers(20, 46)))
def test_shift_and_scale(seed: int, corner: tuple[int, int], sides: tuple[int, int]) -> None:
    sample = rectangle_sample((*corner, corner[0] + sides[0], corner[1] + sides[1]))
    options = Augmentation(translate=0.3, scale=0.5)
    # A tenth of an object that has grown by a factor of 1.5, and one pixel of blur around it.
    width, height = 1.5 * sides[0], 1.5 * sides[1]
    max_area = 0.1 * width * height + 2 * (width + height) + 4
    warped = warp(sample, (96, 128), options, np.random.default_rng(seed))
    assert_boxes_match_colors(warped, tolerance=1.6, max_area=max_area)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_box_of_a_rotated_object_holds_all_of_it(seed: int) -> None:
    sample = rectangle_sample((50, 30, 80, 60))
    options = Augmentation(degrees=45, shear=10, scale=0.2, translate=0.05, perspective=0.0005)
    rotated = warp(sample, (160, 160), options, np.random.default_rng(seed))
    found = find_color(rotated.image)
    # Far from the borders nothing is cut off, so the box around the corners is the box around the pixels.
    assert found is not None
    np.testing.assert_allclose(rotated.boxes[0], found, atol=2.0)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_mosaic(seed: int) -> None:
    boxes = [(5, 8, 40, 50), (30, 20, 60, 60), (2, 2, 30, 62), (20, 30, 62, 58)]
    samples = [rectangle_sample(box, (64, 64), category) for category, box in enumerate(boxes)]
    joined = mosaic(samples, 64, np.random.default_rng(seed))
    assert joined.image.shape == (128, 128, 3)
    assert_boxes_match_colors(joined, tolerance=0)


def test_a_mosaic_meets_at_a_point_and_is_gray_elsewhere() -> None:
    white = TrainingSample(np.full((64, 32, 3), 255, np.uint8), np.zeros((0, 4)), np.zeros(0, np.int64))
    image = mosaic([white] * 4, 64, np.random.default_rng(3)).image
    is_white = (image == 255).all(2)
    columns, rows = np.flatnonzero(is_white.any(0)), np.flatnonzero(is_white.any(1))
    # Four white images of 32x64 pixels that meet at a point form one white block of 64 columns.
    assert columns[-1] - columns[0] + 1 == 64
    assert len(columns) == 64
    assert is_white[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert (image[~is_white] == 114).all()


@pytest.mark.parametrize(("fliplr", "flipud"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_flips(fliplr: int, flipud: int) -> None:
    sample = rectangle_sample((10, 20, 40, 90))
    flipped = flip(sample, Augmentation(fliplr=fliplr, flipud=flipud), np.random.default_rng(0))
    assert_boxes_match_colors(flipped, tolerance=0)
    x1, y1 = (88 if fliplr else 10), (6 if flipud else 20)
    assert flipped.boxes.tolist() == [[x1, y1, x1 + 30, y1 + 70]]


def test_frequency_of_flips() -> None:
    generator = np.random.default_rng(0)
    sample = rectangle_sample((10, 20, 40, 90))
    is_flipped = [flip(sample, Augmentation(fliplr=0.3), generator).boxes[0, 0] == 88 for _ in range(2000)]
    assert 0.26 < np.mean(is_flipped) < 0.34


def test_augmentation_with_all_ranges_zero_changes_nothing() -> None:
    sample = rectangle_sample((10, 20, 40, 90))
    generator = np.random.default_rng(0)
    same = flip(jitter_colors(warp(sample, (96, 128), IDENTITY, generator), IDENTITY, generator), IDENTITY, generator)
    # The conversion from RGB to 8-bit HSV and back loses a level at some pixels.
    np.testing.assert_allclose(same.image.astype(int), sample.image, atol=2)
    assert same.boxes.tolist() == sample.boxes.tolist()


def test_boxes_cut_down_to_a_small_part_are_dropped() -> None:
    generator = np.random.default_rng(0)
    at_the_edge = TrainingSample(np.zeros((100, 100, 3), np.uint8), np.array([[90.0, 0, 100, 100]]), np.array([0]))
    # The canvas shows x from 9 to 91, so that 1 pixel of the box remains.
    assert not len(warp(at_the_edge, (100, 82), IDENTITY, generator).boxes)
    whole = TrainingSample(at_the_edge.image, np.array([[40.0, 40, 60, 60]]), np.array([0]))
    assert warp(whole, (100, 82), IDENTITY, generator).boxes.tolist() == [[31, 40, 51, 60]]


def test_mixup_keeps_the_objects_of_both_samples() -> None:
    first, second = rectangle_sample((10, 10, 40, 40)), rectangle_sample((60, 50, 90, 90), category=2)
    mixed = mixup(first, second, np.random.default_rng(0))
    assert mixed.boxes.tolist() == [[10, 10, 40, 40], [60, 50, 90, 90]]
    assert mixed.classes.tolist() == [0, 2]
    weight = np.random.default_rng(0).beta(32, 32)
    expected = first.image * weight + second.image * (1 - weight)
    np.testing.assert_allclose(mixed.image, expected, atol=0.51)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.tuples(*[st.integers(0, 255)] * 3))
def test_colors_against_the_standard_library(seed: int, color: tuple[int, int, int]) -> None:
    options = Augmentation(hsv_h=0.1, hsv_s=0.5, hsv_v=0.4)
    sample = TrainingSample(np.full((1, 1, 3), color, np.uint8), np.zeros((0, 4)), np.zeros(0, np.int64))
    changed = jitter_colors(sample, options, np.random.default_rng(seed)).image[0, 0]
    hue, saturation, value = np.random.default_rng(seed).uniform(-1, 1, 3) * [0.1, 0.5, 0.4]
    h, s, v = colorsys.rgb_to_hsv(*(level / 255 for level in color))
    expected = colorsys.hsv_to_rgb((h + hue) % 1, min(s * (1 + saturation), 1), min(v * (1 + value), 1))
    # 8-bit hue has 180 steps of up to 8.5 levels and is rounded twice; saturation and value have 255 steps.
    np.testing.assert_allclose(changed, np.array(expected) * 255, atol=10.5)


def test_padding_of_a_sample() -> None:
    padded = pad(rectangle_sample((0, 0, 32, 48), (48, 64)), (64, 64))
    # 64x48 pixels with 8 gray rows above and below.
    assert padded.boxes.tolist() == [[0, 8, 32, 56]]
    assert_boxes_match_colors(padded, tolerance=0)
    # A batch with `--rect` may have a larger canvas.
    padded = pad(rectangle_sample((0, 0, 32, 48), (48, 64)), (96, 64))
    assert padded.boxes.tolist() == [[0, 24, 32, 72]]


def test_boxes_that_reach_behind_the_camera_are_dropped() -> None:
    # The strongest perspective on the largest sample, a mosaic at 640 pixels, scaled down so that most is visible.
    options = Augmentation(translate=0.1, scale=0.9, perspective=0.001)
    sample = rectangle_sample((350, 350, 1280, 1280), (1280, 1280))
    behind = 0
    for seed in range(150):
        # The two coefficients are drawn last, after an angle, a scale, two shears, and two shifts.
        coefficients = np.random.default_rng(seed).uniform(-0.001, 0.001, 8)[6:]
        # The depth at the corner (640, 640) of the sample; samples entirely in front of the camera are skipped.
        depth = 1 + 640 * coefficients.sum()
        if depth > 0.2:
            continue
        warped = warp(sample, (640, 640), options, np.random.default_rng(seed))
        if depth <= 0:
            behind += 1
            assert not len(warped.boxes)
        for box in warped.boxes:
            found = find_color(warped.image)
            assert found is not None
            assert (box[:2] <= found[:2] + 2).all()
            assert (box[2:] >= found[2:] - 2).all()
    assert behind > 3
