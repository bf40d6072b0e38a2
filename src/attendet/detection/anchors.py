"""Anchors that fit the data: how well they do, and better ones by k-means and a genetic search."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

LEAST_SIDE = 2.0
GENERATIONS = 1000
ENOUGH_OBJECTS = 20_000
MUTATED = 0.9
SPREAD = 0.1


def best_possible_recall(sides: NDArray[np.float64], anchors: NDArray[np.float64], anchor_t: float = 4.0) -> float:
    """Return the share of objects that some anchor can answer for, in 0-1.

    Args:
        sides: (objects, 2) width and height in pixels at the training size.
        anchors: (anchors, 2) width and height in pixels.
        anchor_t: Largest ratio of sides, either way.

    Example:
        >>> best_possible_recall(np.array([[10.0, 10.0], [200.0, 10.0]]), np.array([[12.0, 9.0]]))
        0.5
    """
    return float((_fit(sides, anchors) > 1 / anchor_t).any(1).mean()) if len(sides) else 1.0


def fit_anchors(
    sides: NDArray[np.float64], levels: int, per_level: int, anchor_t: float = 4.0, seed: int = 0
) -> NDArray[np.float64]:
    """Return anchors (levels, per_level, 2) in pixels that fit objects, small ones first.

    Clusters of the sides (k-means, on sides in units of their deviation) are where a genetic search starts that
    raises the mean fit of the objects that an anchor can answer for.

    Args:
        sides: (objects, 2) width and height in pixels at the training size.
        levels: Number of levels of the head.
        per_level: Anchors of each.
        anchor_t: Largest ratio of sides, either way.
        seed: Of the clusters and the search.

    Example:
        >>> sides = np.array([[10.0, 12], [10, 12], [11, 12], [40, 38], [40, 38], [42, 41]])
        >>> fit_anchors(sides, levels=2, per_level=1).round().tolist()
        [[[10.0, 12.0]], [[40.0, 38.0]]]
    """
    generator = np.random.default_rng(seed)
    seen = sides[(sides >= LEAST_SIDE).any(1)]
    kept = seen if len(seen) else sides
    if len(kept) > ENOUGH_OBJECTS:
        # A thousand generations over all of COCO's objects would take a quarter of an hour, for the same anchors.
        kept = generator.choice(kept, ENOUGH_OBJECTS, replace=False)
    anchors = _clusters(kept, levels * per_level, generator)
    anchors = _evolve(anchors, lambda candidate: _fitness(kept, candidate, anchor_t), generator)
    return anchors[np.argsort(anchors.prod(1), kind="stable")].reshape(levels, per_level, 2)


def _clusters(sides: NDArray[np.float64], count: int, generator: Generator) -> NDArray[np.float64]:
    deviation = np.maximum(sides.std(0), 1e-6)
    sizes = np.unique(sides, axis=0)
    if len(sizes) < count:
        # Fewer sizes than anchors: quantiles, spread a little.
        chosen = np.quantile(sides, np.linspace(0, 1, count), axis=0)
        return np.maximum(chosen * generator.uniform(0.9, 1.1, chosen.shape), LEAST_SIDE)
    # Different sizes to start from, so that each cluster has an object.
    by_area = sizes[np.argsort(sizes.prod(1), kind="stable")]
    start = by_area[np.linspace(0, len(sizes) - 1, count).round().astype(int)]
    with warnings.catch_warnings():
        # A cluster that loses all its objects on the way stays where it is, for the search to move.
        warnings.simplefilter("ignore")
        means, _ = kmeans2(sides / deviation, start / deviation, minit="matrix", iter=30, missing="warn")
    return np.maximum(means * deviation, LEAST_SIDE)


def _evolve(
    anchors: NDArray[np.float64], fitness: Callable[[NDArray[np.float64]], float], generator: Generator
) -> NDArray[np.float64]:
    best = fitness(anchors)
    for _ in range(GENERATIONS):
        chosen = generator.random(anchors.shape) < MUTATED
        factors = 1 + generator.normal(0, SPREAD, anchors.shape) * generator.random()
        candidate = np.maximum(anchors * np.where(chosen, factors.clip(0.3, 3), 1), LEAST_SIDE)
        if (score := fitness(candidate)) > best:
            best, anchors = score, candidate
    return anchors


def _fitness(sides: NDArray[np.float64], anchors: NDArray[np.float64], anchor_t: float) -> float:
    best = _fit(sides, anchors).max(1)
    return float((best * (best > 1 / anchor_t)).mean())


def _fit(sides: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (objects, anchors) in 0-1: the smaller of the two ratios of sides; above 1/anchor_t they match."""
    ratio = np.maximum(sides, 1e-9)[:, None] / anchors[None]
    return np.minimum(ratio, 1 / ratio).min(2)
