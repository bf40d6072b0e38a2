"""Anchors for a data set: their recall, and a search by k-means and a genetic algorithm."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_MIN_SIDE = 2.0
_GENERATIONS = 1000
_MAX_OBJECTS = 20_000
_MUTATION_PROBABILITY = 0.9
_MUTATION_DEVIATION = 0.1


@dataclass(frozen=True)
class AnchorFitting:
    """When and how the anchors of a head are fitted to a data set.

    Attributes:
        min_recall: Best possible recall (0-1) below which anchors are fitted.
        is_enabled: Whether anchors with too low a recall are fitted. Placeholders always are.
        are_placeholders: Whether the head has placeholders instead of anchors, because its model file has only their
            number.
        seed: Seed for the search.
    """

    min_recall: float = 0.98
    is_enabled: bool = True
    are_placeholders: bool = False
    seed: int = 0


def best_possible_recall(sides: NDArray[np.float64], anchors: NDArray[np.float64], anchor_t: float = 4.0) -> float:
    """Return the fraction of objects (0-1) that match at least one anchor; 1 if there are no objects.

    Args:
        sides: Widths and heights of the objects in pixels at the training size, (objects, 2).
        anchors: Widths and heights of the anchors in pixels, (anchors, 2).
        anchor_t: Largest ratio of the sides of an object and a matching anchor, in either direction.

    Example:
        >>> best_possible_recall(np.array([[10.0, 10.0], [200.0, 10.0]]), np.array([[12.0, 9.0]]))
        0.5
    """
    return float((_side_ratios(sides, anchors) > 1 / anchor_t).any(1).mean()) if len(sides) else 1.0


def fit_anchors(
    sides: NDArray[np.float64], levels: int, per_level: int, anchor_t: float = 4.0, seed: int = 0
) -> NDArray[np.float64]:
    """Search anchors that fit the objects of a data set.

    The search starts with the clusters of k-means on sides in units of their standard deviation. A genetic algorithm
    then increases the mean ratio of sides between objects and their best anchors.

    Args:
        sides: Widths and heights of the objects in pixels at the training size, (objects, 2).
        levels: Number of levels of the head.
        per_level: Number of anchors per level.
        anchor_t: Largest ratio of the sides of an object and a matching anchor, in either direction.
        seed: Seed for clustering and search.

    Returns:
        Widths and heights of the anchors in pixels, (levels, per_level, 2), ordered by area.

    Example:
        >>> sides = np.array([[10.0, 12], [10, 12], [11, 12], [40, 38], [40, 38], [42, 41]])
        >>> fit_anchors(sides, levels=2, per_level=1).round().tolist()
        [[[10.0, 12.0]], [[40.0, 38.0]]]
    """
    generator = np.random.default_rng(seed)
    visible = sides[(sides >= _MIN_SIDE).any(1)]
    objects = visible if len(visible) else sides
    if len(objects) > _MAX_OBJECTS:
        # A thousand generations on all objects of COCO would take 15 minutes and give the same anchors.
        objects = generator.choice(objects, _MAX_OBJECTS, replace=False)
    anchors = _clusters(objects, levels * per_level, generator)
    anchors = _evolve(anchors, lambda candidate: _fitness(objects, candidate, anchor_t), generator)
    return anchors[np.argsort(anchors.prod(1), kind="stable")].reshape(levels, per_level, 2)


def adapt_anchors(
    anchors: NDArray[np.float64], sides: NDArray[np.float64], anchor_t: float, fitting: AnchorFitting
) -> tuple[NDArray[np.float64] | None, str]:
    """Fit anchors to the objects of a data set if their best possible recall is too low.

    Args:
        anchors: Widths and heights of the anchors in pixels, (levels, per_level, 2).
        sides: Widths and heights of the objects in pixels at the training size, (objects, 2).
        anchor_t: Largest ratio of the sides of an object and a matching anchor, in either direction.
        fitting: When and how they are fitted.

    Returns:
        Better anchors, None if the old ones are kept, and a sentence about the recall.

    Example:
        >>> adapt_anchors(np.array([[[12.0, 9.0]]]), np.array([[10.0, 10.0]]), 4.0, AnchorFitting())
        (None, 'anchors: best possible recall 100.0%')
    """
    recall = best_possible_recall(sides, anchors.reshape(-1, 2), anchor_t)
    if fitting.are_placeholders:
        recall = 0.0
    elif recall >= fitting.min_recall:
        return None, f"anchors: best possible recall {recall:.1%}"
    elif not fitting.is_enabled:
        return None, f"anchors: best possible recall only {recall:.1%}, not fitted because of --noautoanchor"
    levels, per_level, _ = anchors.shape
    fitted = fit_anchors(sides, levels, per_level, anchor_t, fitting.seed)
    better = best_possible_recall(sides, fitted.reshape(-1, 2), anchor_t)
    if better <= recall:
        return None, f"anchors: best possible recall {recall:.1%}; fitting found no better anchors"
    return fitted, f"anchors fitted to the data: best possible recall {better:.1%}, {recall:.1%} before"


def _clusters(sides: NDArray[np.float64], count: int, generator: Generator) -> NDArray[np.float64]:
    from scipy.cluster.vq import kmeans2  # noqa: PLC0415 (heads import this module; scipy takes long to import)

    deviation = np.maximum(sides.std(0), 1e-6)
    sizes = np.unique(sides, axis=0)
    if len(sizes) < count:
        # With fewer sizes than anchors: quantiles with a small random variation.
        chosen = np.quantile(sides, np.linspace(0, 1, count), axis=0)
        return np.maximum(chosen * generator.uniform(0.9, 1.1, chosen.shape), _MIN_SIDE)
    # The initial means are different sizes, so that each cluster has an object.
    by_area = sizes[np.argsort(sizes.prod(1), kind="stable")]
    start = by_area[np.linspace(0, len(sizes) - 1, count).round().astype(int)]
    with warnings.catch_warnings():
        # A cluster that loses all its objects keeps its mean, which the genetic search then moves.
        warnings.simplefilter("ignore")
        means, _ = kmeans2(sides / deviation, start / deviation, minit="matrix", iter=30, missing="warn")
    return np.maximum(means * deviation, _MIN_SIDE)


def _evolve(
    anchors: NDArray[np.float64], fitness: Callable[[NDArray[np.float64]], float], generator: Generator
) -> NDArray[np.float64]:
    best = fitness(anchors)
    for _ in range(_GENERATIONS):
        mutated = generator.random(anchors.shape) < _MUTATION_PROBABILITY
        factors = 1 + generator.normal(0, _MUTATION_DEVIATION, anchors.shape) * generator.random()
        candidate = np.maximum(anchors * np.where(mutated, factors.clip(0.3, 3), 1), _MIN_SIDE)
        if (score := fitness(candidate)) > best:
            best, anchors = score, candidate
    return anchors


def _fitness(sides: NDArray[np.float64], anchors: NDArray[np.float64], anchor_t: float) -> float:
    best = _side_ratios(sides, anchors).max(1)
    return float((best * (best > 1 / anchor_t)).mean())


def _side_ratios(sides: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the worse of the two ratios of sides (0-1) for every object and anchor, (objects, anchors)."""
    ratio = np.maximum(sides, 1e-9)[:, None] / anchors[None]
    return np.minimum(ratio, 1 / ratio).min(2)
