"""Non-maximum suppression without torch selects the same rows as attendet's, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from attendet.detection.postprocess import CanvasPlacement, DetectionThresholds, detect_on_canvas, detections_in_images
from attendet_runtime.errors import UsageError
from attendet_runtime.letterbox import Placement
from attendet_runtime.suppression import Thresholds, detections_in_image, select_detections

CLASSES = 3


def crowded_predictions(rows: int, seed: int, classes: int = CLASSES) -> NDArray[np.float32]:
    """Return predictions (rows, 4 + classes) whose boxes overlap in many ways; some scores are equal."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(0, 200, (max(1, rows // 8), 2)).repeat(8, 0)[:rows]
    centers = np.concatenate([centers, rng.uniform(0, 200, (rows - len(centers), 2))]) + rng.normal(0, 4, (rows, 2))
    sizes = np.exp(rng.normal(3.3, 0.5, (rows, 2)))
    scores = rng.random((rows, classes)) * rng.random((rows, 1))
    scores[rng.random(rows) < 0.3] = 0.875
    return np.concatenate([centers, sizes, scores], axis=1).astype(np.float32)


def expected_rows(
    predictions: NDArray[np.float32], thresholds: Thresholds, classes: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    theirs = DetectionThresholds(
        thresholds.confidence,
        thresholds.iou,
        thresholds.max_detections,
        thresholds.multi_label,
        thresholds.agnostic,
    )
    mask = None if classes is None else torch.from_numpy(classes)
    return detect_on_canvas(torch.from_numpy(predictions[None]), theirs, classes=mask)[0].numpy()


@given(
    rows=st.integers(0, 400),
    seed=st.integers(0, 2**32),
    confidence=st.floats(0, 1),
    iou=st.floats(0, 1),
    most=st.integers(1, 300),
    multi_label=st.booleans(),
    agnostic=st.booleans(),
    kept=st.none() | st.lists(st.booleans(), min_size=CLASSES, max_size=CLASSES),
)
def test_the_same_rows_are_selected_as_by_attendet(
    rows: int,
    seed: int,
    confidence: float,
    iou: float,
    most: int,
    multi_label: bool,
    agnostic: bool,
    kept: list[bool] | None,
) -> None:
    predictions = crowded_predictions(rows, seed)
    thresholds = Thresholds(confidence, iou, most, multi_label, agnostic)
    classes = None if kept is None else np.array(kept)
    found = select_detections(predictions, thresholds, classes)
    np.testing.assert_array_equal(found, expected_rows(predictions, thresholds, classes))


@pytest.mark.parametrize("rows", [999, 1000, 1001, 5000])
@pytest.mark.parametrize("agnostic", [False, True])
def test_many_candidates_are_selected_as_by_attendet(rows: int, agnostic: bool) -> None:
    """From 1,001 candidates, torchvision suppresses each class on its own, without moving the classes apart."""
    predictions = crowded_predictions(rows, seed=rows)
    thresholds = Thresholds(confidence=0.0, agnostic=agnostic)
    found = select_detections(predictions, thresholds)
    np.testing.assert_array_equal(found, expected_rows(predictions, thresholds))
    assert 20 < len(found) < rows


def test_only_the_most_confident_candidates_are_considered() -> None:
    """The last thousand boxes do not overlap others, but are not among the 30,000 most confident."""
    rows, crowded = 31_000, 30_000
    predictions = np.full((rows, 5), 4, np.float32)
    places = np.concatenate([np.arange(crowded) % 100, np.arange(100, 100 + rows - crowded)])
    predictions[:, :2] = np.stack(np.divmod(places, 50), axis=1) * 10
    predictions[:, 4:] = np.linspace(1, 0.5, rows)[:, None]
    shuffled = np.random.default_rng(0).permutation(predictions)
    thresholds = Thresholds(confidence=0.1, max_detections=5000)
    found = select_detections(shuffled, thresholds)
    assert len(found) == 100
    np.testing.assert_array_equal(found, expected_rows(shuffled, thresholds))


def test_boxes_without_an_area_and_scores_that_are_not_numbers_are_treated_as_by_attendet() -> None:
    predictions = crowded_predictions(40, seed=0)
    predictions[:10, 2] = 0
    predictions[:4, :4] = predictions[4:8, :4]
    predictions[20:25, 4] = np.nan
    predictions[25:30, 6] = np.nan
    found = select_detections(predictions, Thresholds(confidence=0.0))
    np.testing.assert_array_equal(found, expected_rows(predictions, Thresholds(confidence=0.0)))
    assert (found[:, 0] == found[:, 2]).any()


@given(seed=st.integers(0, 2**32))
def test_detections_are_clipped_to_the_image_and_dropped_outside_of_it_as_by_attendet(seed: int) -> None:
    predictions = crowded_predictions(60, seed)
    placement = Placement(height=90, width=160, scaled_height=60, scaled_width=107, top=70, left=40)
    there = CanvasPlacement(160, 90, placement.scale, placement.left, placement.top)
    expected = detections_in_images(torch.from_numpy(predictions[None]), [there], DetectionThresholds())[0].numpy()
    found = detections_in_image(select_detections(predictions, Thresholds()), placement)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": -0.1}, "`confidence` must be a number from 0 to 1, got -0.1"),
        ({"iou": float("nan")}, "`iou` must be a number from 0 to 1, got nan"),
        ({"max_detections": 0}, "`max_detections` must be a positive integer, got 0"),
    ],
)
def test_thresholds_outside_of_their_range_are_errors(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Thresholds(**options)  # pyright: ignore[reportArgumentType]
