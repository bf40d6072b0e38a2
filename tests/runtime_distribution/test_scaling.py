"""Scaling without OpenCV equals OpenCV's bit for bit."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.loading.resizing import resize
from attendet_runtime.scaling import average_areas, interpolate, scale_image
from tests.helpers.calibrated_detector import photographs

PHOTOGRAPHS = photographs()
SIDES = st.integers(1, 300)


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(height=SIDES, width=SIDES, longer=st.integers(1, 640), seed=st.integers(0, 2**32))
def test_images_of_any_size_are_scaled_as_by_attendet(height: int, width: int, longer: int, seed: int) -> None:
    image = noise(height, width, seed)
    np.testing.assert_array_equal(scale_image(image, longer), resize(image, longer))


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=["temple", "flower"])
@pytest.mark.parametrize("longer", [1, 7, 96, 213, 320, 416, 512, 639, 640, 641, 700, 960, 1280])
def test_photographs_are_scaled_as_by_attendet(photograph: np.ndarray, longer: int) -> None:
    np.testing.assert_array_equal(scale_image(photograph, longer), resize(photograph, longer))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (20, 30), (40, 90), (13, 45), (60, 89), (59, 90), (7, 31)])
def test_areas_are_averaged_as_by_opencv_in_other_proportions(rows: int, columns: int) -> None:
    image = noise(60, 90, seed=1)
    expected = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(average_areas(image, rows, columns), expected)


@pytest.mark.parametrize(("rows", "columns"), [(61, 90), (60, 91), (120, 180), (333, 91), (64, 2000)])
def test_interpolation_is_that_of_opencv_in_other_proportions(rows: int, columns: int) -> None:
    image = noise(60, 90, seed=1)
    expected = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(interpolate(image, rows, columns), expected)


def test_a_large_photograph_is_scaled_as_by_attendet() -> None:
    """It is converted in several bands."""
    image = np.asarray(cv2.resize(PHOTOGRAPHS[0], (4032, 3024), interpolation=cv2.INTER_CUBIC), np.uint8)
    np.testing.assert_array_equal(scale_image(image, 640), resize(image, 640))


def test_pillow_has_other_means() -> None:
    """Otherwise these tests would accept any average."""
    from PIL import Image  # noqa: PLC0415 (for this test only)

    image = PHOTOGRAPHS[0]
    reduced = np.asarray(Image.fromarray(image).resize((213, 142), Image.Resampling.BOX))
    assert (scale_image(image, 213) != reduced).any()
