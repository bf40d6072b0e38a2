"""Recall of anchors against brute force, and the quality of fitted anchors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attendet.detection.anchors import AnchorFitting, adapt_anchors, best_possible_recall, fit_anchors

PUBLISHED = np.array(
    [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]], np.float64
)


def literal_recall(sides: NDArray[np.float64], anchors: NDArray[np.float64], anchor_t: float) -> float:
    found = 0
    for width, height in sides.tolist():
        for w, h in anchors.tolist():
            if max(width / w, w / width) < anchor_t and max(height / h, h / height) < anchor_t:
                found += 1
                break
    return found / len(sides)


def mean_fit(sides: NDArray[np.float64], anchors: NDArray[np.float64]) -> float:
    """Return the mean over objects of the smaller ratio of sides to the best anchor."""
    best = [max(min(w / a, a / w, h / b, b / h) for a, b in anchors.tolist()) for w, h in sides.tolist()]
    return sum(best) / len(best)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.5, 2.0, 4.0]))
def test_recall_against_brute_force(seed: int, anchor_t: float) -> None:
    generator = np.random.default_rng(seed)
    sides = generator.uniform(1, 600, (40, 2))
    anchors = generator.uniform(2, 300, (5, 2))
    assert best_possible_recall(sides, anchors, anchor_t) == literal_recall(sides, anchors, anchor_t)


def test_the_recall_of_no_objects_is_one() -> None:
    assert best_possible_recall(np.zeros((0, 2)), PUBLISHED) == 1.0


@pytest.mark.parametrize("seed", [0, 1])
def test_fitted_anchors_are_better_than_the_published_ones_for_skewed_sizes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sides = np.stack([generator.uniform(4, 8, 300), generator.uniform(120, 300, 300)], axis=1)
    fitted = fit_anchors(sides, 3, 3, seed=seed)
    assert fitted.shape == (3, 3, 2)
    assert literal_recall(sides, PUBLISHED, 4.0) < 0.5
    assert literal_recall(sides, fitted.reshape(-1, 2), 4.0) == 1.0
    assert mean_fit(sides, fitted.reshape(-1, 2)) > 0.85
    areas = fitted.reshape(-1, 2).prod(1)
    assert (np.diff(areas) >= 0).all()


def test_the_same_seed_gives_the_same_anchors() -> None:
    sides = np.random.default_rng(0).uniform(5, 100, (60, 2))
    assert np.array_equal(fit_anchors(sides, 3, 2, seed=5), fit_anchors(sides, 3, 2, seed=5))


@pytest.mark.parametrize(
    "sides",
    [
        np.array([[20.0, 30.0]]),
        np.array([[20.0, 30.0]] * 5),
        np.array([[0.5, 0.7], [1.0, 1.5]]),
        # Most objects have the same size, so some clusters stay empty.
        np.concatenate([np.full((200, 2), 16.0), np.random.default_rng(0).uniform(4, 300, (10, 2))]),
    ],
)
def test_few_small_and_equal_objects(sides: NDArray[np.float64]) -> None:
    fitted = fit_anchors(sides, 3, 3)
    assert fitted.shape == (3, 3, 2)
    assert np.isfinite(fitted).all()
    assert (fitted >= 2).all()
    if sides.min() > 2:
        assert literal_recall(sides, fitted.reshape(-1, 2), 4.0) == 1.0


def test_anchors_are_adapted_only_if_their_recall_is_too_low() -> None:
    sides = np.random.default_rng(0).uniform(10, 14, (50, 2))
    good, bad = np.full((1, 2, 2), 12.0), np.full((1, 2, 2), 400.0)
    assert adapt_anchors(good, sides, 4.0, AnchorFitting())[0] is None
    fitted, sentence = adapt_anchors(bad, sides, 4.0, AnchorFitting())
    assert fitted is not None
    assert literal_recall(sides, fitted.reshape(-1, 2), 4.0) == 1
    assert sentence == "anchors fitted to the data: best possible recall 100.0%, 0.0% before"
    kept, sentence = adapt_anchors(bad, sides, 4.0, AnchorFitting(is_enabled=False))
    assert kept is None
    assert sentence == "anchors: best possible recall only 0.0%, not fitted because of --noautoanchor"
    for anchors in (good, bad):
        placeholders = AnchorFitting(is_enabled=False, are_placeholders=True)
        assert adapt_anchors(anchors, sides, 4.0, placeholders)[0] is not None
