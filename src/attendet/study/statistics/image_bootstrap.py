"""The chance of the validation images in a difference between two arms: a bootstrap of seeds and images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attendet.study.image_records import IOUS, ImageMatches

Floats = NDArray[np.float64]

RESAMPLES = 1000
# IoU thresholds, by their index in `IOUS`, of the metrics that records of images determine.
_THRESHOLDS: Mapping[str, tuple[int, ...]] = MappingProxyType({"map50_95": tuple(range(len(IOUS))), "map50": (0,)})
# The recalls of COCO's protocol, with the digits that its evaluators use.
_RECALLS = np.linspace(0, 1, 101)
_CONFIDENCE = 0.95
# Numbers that are held at the same time, 4 MiB: more than fit into the cache of a CPU take twice as long.
_CHUNK = 2**19


@dataclass(frozen=True)
class ImageDifference:
    """The difference between two arms, with the parts of its standard error that seeds and images cause.

    Attributes:
        seeds: Seeds that both arms have, in ascending order.
        images: Number of validation images.
        difference: Mean over the seeds of the score of the arm minus that of the other arm, both of the best weights.
        seed_error: Standard error for these images: over other seeds.
        image_error: Standard error for these networks: over other images like these.
        error: Standard error over other seeds and other images.
        low: Lower end of the 95 % interval over other seeds and other images.
        high: Upper end.
    """

    seeds: tuple[int, ...]
    images: int
    difference: float
    seed_error: float
    image_error: float
    error: float
    low: float
    high: float


def image_difference(
    arm: Mapping[int, ImageMatches], against: Mapping[int, ImageMatches], metric: str, *, resamples: int = RESAMPLES
) -> ImageDifference | None:
    """Compare the best weights of two arms, with an interval for other seeds and for other images like these.

    Images are drawn with replacement, the same ones for all runs, and the average precision of every run is computed
    for each draw. Seeds are crossed with images, so the variance has three components: seeds, images, and their
    interaction (Owen, "The Pigeonhole Bootstrap", 2007). The variance over the seeds holds the first and the third, the
    variance of the mean over draws of images the second and the third; the interaction is estimated from the draws of
    single seeds and counted once. The pigeonhole bootstrap, which draws seeds as well, counts it three times and sees
    few seeds as more alike than they are; in simulations its interval holds the true difference in 76-99 % of studies.
    This interval, Student's t with Satterthwaite's degrees of freedom, holds it in 93-98 %.

    Args:
        arm: Records of the arm's runs, by seed.
        against: Records of the runs of the arm that it is compared with, by seed.
        metric: The metric that decides.
        resamples: Number of draws of images.

    Returns:
        The comparison; None for metrics other than map50_95 and map50, for fewer than two common seeds or two images,
        and for runs on different images.
    """
    seeds = tuple(sorted(arm.keys() & against.keys()))
    runs = [side[seed] for side in (arm, against) for seed in seeds]
    if metric not in _THRESHOLDS or len(seeds) < 2 or len({(each.fingerprint, each.images) for each in runs}) > 1:
        return None
    images = runs[0].images
    if images < 2:
        return None
    # The first column counts each image once.
    weights = np.ones((images, 1 + resamples))
    weights[:, 1:] = np.random.default_rng(0).multinomial(images, [1 / images] * images, resamples).T
    scores = np.stack([mean_average_precision(run, weights, metric) for run in runs])
    return _combine(seeds, images, scores[: len(seeds)] - scores[len(seeds) :])


def mean_average_precision(matches: ImageMatches, weights: Floats, metric: str = "map50_95") -> Floats:
    """Return the mean average precision of a run on weighted images, by COCO's protocol.

    An image of weight 2 counts like two equal images. With unit weights, the result is that of
    `attendet.evaluation.Metrics`.

    Args:
        matches: The record of the run.
        weights: (images, draws) weights of the images, 0 or greater.
        metric: map50_95 or map50.

    Returns:
        (draws,) means over the classes that have objects in images of positive weight, 0-1; 0 without such objects.

    Example:
        >>> from attendet.study.image_records import sort_matches
        >>> columns = {"image_indices": [0], "classes": [0], "confidences": [0.5], "matches": [0b11111], "ignored": [0]}
        >>> found = {name: np.array(column) for name, column in columns.items()}
        >>> record = sort_matches("0a", 2, found, objects=([0, 1], [0, 0]))
        >>> mean_average_precision(record, np.array([[1.0, 1.0], [1.0, 0.0]])).round(3)
        array([0.252, 0.5  ])
    """
    total, classes = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for index in np.unique(matches.object_classes).tolist():
        objects = weights[matches.object_images[matches.object_classes == index]].sum(axis=0)
        rows = slice(*np.searchsorted(matches.classes, [index, index + 1]))
        step = max(1, _CHUNK // max(1, rows.stop - rows.start))
        for start in range(0, weights.shape[1], step):
            part = slice(start, start + step)
            total[part] += _class_precision(matches, rows, weights[:, part], objects[part], _THRESHOLDS[metric])
        classes += objects > 0
    return total / np.maximum(classes, 1)


def _combine(seeds: tuple[int, ...], images: int, differences: Floats) -> ImageDifference:
    """Return the comparison from differences (seeds, 1 + draws), whose first column is of all images."""
    observed, drawn = differences[:, 0], differences[:, 1:]
    count, difference = len(seeds), float(observed.mean())
    by_seeds = float(observed.var(ddof=1)) / count
    by_images = float(drawn.mean(axis=0).var(ddof=1))
    interaction = (float(drawn.var(axis=1, ddof=1).mean()) - by_images) / (count - 1)
    # The interaction is a part of both, so the whole is never less than one of them.
    rest = by_images - min(max(0.0, interaction), by_seeds, by_images)
    variance = by_seeds + rest
    half = 0.0
    if variance:
        freedom = variance**2 / (by_seeds**2 / (count - 1) + rest**2 / (images - 1))
        half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, freedom)) * variance**0.5
    return ImageDifference(
        seeds=seeds,
        images=images,
        difference=difference,
        seed_error=by_seeds**0.5,
        image_error=by_images**0.5,
        error=variance**0.5,
        low=difference - half,
        high=difference + half,
    )


def _class_precision(
    matches: ImageMatches, rows: slice, weights: Floats, objects: Floats, thresholds: tuple[int, ...]
) -> Floats:
    """Return the average precision (draws,) of one class, 0 where it has no objects, as a mean over IoU thresholds."""
    bits, ignored = matches.matches[rows], matches.ignored[rows]
    of_detections = weights[matches.image_indices[rows]]
    found = np.cumsum(of_detections, axis=0)
    total = np.zeros(weights.shape[1])
    for threshold in thresholds:
        right = np.flatnonzero(bits >> threshold & 1)
        if not len(right):
            continue
        counted = found[right]
        is_ignored = (ignored >> threshold & 1).astype(np.bool_)
        if is_ignored.any():
            counted -= np.cumsum(of_detections * is_ignored[:, None], axis=0)[right]
        hits = np.cumsum(of_detections[right], axis=0)
        precision = hits / np.maximum(counted, np.finfo(np.float64).tiny)
        # COCO's precision at a recall is the largest at that recall or a higher one.
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        total += (envelope * np.diff(_count_recalls(hits, objects), axis=0, prepend=0)).sum(axis=0)
    return total / (len(_RECALLS) * len(thresholds))


def _count_recalls(hits: Floats, objects: Floats) -> Floats:
    """Return how many of COCO's recalls each number of hits (k, draws) of all objects (draws,) reaches."""
    recalls = hits / np.where(objects > 0, objects, 1)
    nearest = np.rint(100 * recalls).astype(np.intp)
    reached = nearest + (_RECALLS[nearest] <= recalls)
    # The recall 0 is reached by the first hit.
    return np.where(hits > 0, reached, 0)
