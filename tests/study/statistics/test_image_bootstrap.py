"""Average precision from records of images against COCO's, and the bootstrap of seeds and images."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from attendet.data.records import ImageRecord, ImageRecords, Split
from attendet.evaluation.metrics import Evaluation
from attendet.evaluation.validation import SecondsPerImage, Validation
from attendet.study.image_records import ImageMatches, sort_matches
from attendet.study.reporting.explanations import describe_image_chance
from attendet.study.runs.image_matching import collect_matches
from attendet.study.statistics.image_bootstrap import image_difference, mean_average_precision
from tests.helpers.detection_samples import Sample, bccd_samples, measure, random_samples
from tests.helpers.typed_access import not_none

SAMPLES = ["random", "with crowds", "bccd"]


def samples_of(kind: str) -> tuple[list[Sample], list[str]]:
    if kind == "bccd":
        return bccd_samples()
    return random_samples(0, crowds=0.2 if kind == "with crowds" else 0.0), ["a", "b", "c", "d"]


def distinct(samples: Sequence[Sample], seed: int = 0) -> list[Sample]:
    """Return the samples without equal confidences, whose order would depend on the order of the images."""
    generator = np.random.default_rng(seed)
    count = sum(len(found) for found, _ in samples)
    ranks = iter(generator.permutation(count).tolist())
    changed = []
    for found, objects in samples:
        rows = found.clone()
        for row in rows:
            row[4] = (next(ranks) + 1) / count
        changed.append((rows, objects))
    return changed


def collected(samples: Sequence[Sample], names: Sequence[str], order: Sequence[int] | None = None) -> ImageMatches:
    """Return the record of detections that a validation found in another order of the images."""
    records = [
        ImageRecord(
            Path(f"{number:03}.jpg"),
            width=2000,
            height=2000,
            boxes=objects.boxes.numpy(),
            classes=objects.classes.numpy(),
            crowd=objects.crowd.numpy(),
        )
        for number, (_, objects) in enumerate(samples)
    ]
    order = range(len(samples)) if order is None else order
    validation = Validation(
        measure(samples, names),
        SecondsPerImage(0, 0, 0),
        tuple(records[number] for number in order),
        tuple(samples[number][0] for number in order),
    )
    return collect_matches(validation, Split("val", tuple(names), ImageRecords(records)))


@pytest.mark.parametrize("kind", SAMPLES)
def test_with_unit_weights_the_average_precision_is_that_of_cocos_evaluator(kind):
    samples, names = samples_of(kind)
    metrics, record = measure(samples, names), collected(samples, names)
    once = np.ones((len(samples), 1))
    assert metrics.map50 - metrics.map50_95 > 0.1
    assert mean_average_precision(record, once)[0] == pytest.approx(metrics.map50_95, abs=1e-9)
    assert mean_average_precision(record, once, "map50")[0] == pytest.approx(metrics.map50, abs=1e-9)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_weight_of_two_counts_like_two_images(kind):
    samples, names = samples_of(kind)
    samples = distinct(samples)
    weights = np.random.default_rng(1).integers(0, 4, (len(samples), 6)).astype(np.float64)
    # Some draws lack objects of a class.
    weights[:, 0] = 0
    weights[3, 0] = 2
    found = mean_average_precision(collected(samples, names), weights)
    for draw, value in zip(weights.T.astype(int), found, strict=True):
        repeated = [sample for sample, count in zip(samples, draw, strict=True) for _ in range(count)]
        assert value == pytest.approx(measure(repeated, names).map50_95, abs=1e-9)


def test_without_objects_the_average_precision_is_0():
    samples, names = samples_of("random")
    assert mean_average_precision(collected(samples, names), np.zeros((25, 2))).tolist() == [0, 0]


def test_only_a_hundred_detections_of_an_image_and_class_count():
    samples, names = samples_of("bccd")
    many = [(found.repeat(8, 1), objects) for found, objects in samples]
    assert max(len(found) for found, _ in many) > 400
    record = collected(distinct(many), names)
    expected = measure(distinct(many), names).map50_95
    assert mean_average_precision(record, np.ones((87, 1)))[0] == pytest.approx(expected, abs=1e-9)


def test_the_order_of_images_in_a_validation_does_not_matter():
    samples, names = samples_of("with crowds")
    samples = distinct(samples)
    shuffled = np.random.default_rng(0).permutation(len(samples)).tolist()
    first, second = collected(samples, names), collected(samples, names, shuffled)
    for name in ("image_indices", "classes", "confidences", "matches", "ignored"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert sorted(zip(first.object_images, first.object_classes, strict=True)) == sorted(
        zip(second.object_images, second.object_classes, strict=True)
    )


def small_arms() -> tuple[dict[int, list[Sample]], dict[int, list[Sample]]]:
    """Return detections of two seeds of two arms in the same 20 images."""
    images = random_samples(2, images=20)
    arms = []
    for scale in (1.0, 0.6):
        arm = {}
        for seed in range(2):
            generator = np.random.default_rng([seed, int(10 * scale)])
            rows = []
            for found, objects in images:
                kept = generator.random(len(found)) < scale
                rows.append((found[torch.from_numpy(kept)], objects))
            arm[seed] = distinct(rows, seed)
        arms.append(arm)
    return arms[0], arms[1]


def test_the_errors_equal_explicit_resampling_of_images():
    names = ["a", "b", "c", "d"]
    arms = small_arms()
    records = [{seed: collected(samples, names) for seed, samples in arm.items()} for arm in arms]
    found = not_none(image_difference(records[0], records[1], "map50_95"))

    def differences(images: Sequence[int]) -> list[float]:
        def score(samples: list[Sample]) -> float:
            evaluation = Evaluation(names)
            for number in images:
                evaluation.update([samples[number][0]], [samples[number][1]])
            return evaluation.compute().map50_95

        return [score(arms[0][seed]) - score(arms[1][seed]) for seed in range(2)]

    observed = differences(range(20))
    assert found.difference == pytest.approx(np.mean(observed), abs=1e-9)
    assert found.seed_error == pytest.approx(stats.sem(observed), abs=1e-9)
    generator = np.random.default_rng(5)
    drawn = np.array([differences(generator.integers(0, 20, 20).tolist()) for _ in range(100)])
    assert found.image_error == pytest.approx(drawn.mean(axis=1).std(ddof=1), rel=0.25)
    single = drawn.var(axis=0, ddof=1).mean()
    both = drawn.mean(axis=1).var(ddof=1)
    expected = stats.sem(observed) ** 2 + both - min(max(0, single - both), both, stats.sem(observed) ** 2)
    assert found.error == pytest.approx(expected**0.5, rel=0.25)
    assert (found.low + found.high) / 2 == pytest.approx(found.difference)
    # Student's t has between 1 and 1 + 19 degrees of freedom.
    widths = [stats.t.ppf(0.975, freedom) * found.error for freedom in (20, 1)]
    assert widths[0] < (found.high - found.low) / 2 <= widths[1] * (1 + 1e-9)


def synthetic_run(
    generator: np.random.Generator, objects: np.ndarray, classes: np.ndarray, seed_effect: float, effects: np.ndarray
) -> ImageMatches:
    """Return a run whose boxes fit by chance, by its seed, and by the image."""
    quality = 0.2 + seed_effect + effects[objects] + 0.25 * generator.normal(size=len(objects))
    bits = np.clip(np.floor(5 + 10 * quality), 0, 10).astype(int)
    false = np.repeat(np.arange(len(effects)), generator.poisson(1.5, len(effects)))
    columns = {
        "image_indices": np.concatenate([objects, false]),
        "classes": np.concatenate([classes, generator.integers(0, 2, len(false))]),
        "confidences": np.concatenate(
            [
                1 / (1 + np.exp(-1 - 3 * quality - generator.normal(size=len(objects)))),
                generator.beta(1, 2.5, len(false)),
            ]
        ),
        "matches": np.concatenate([(1 << bits) - 1, np.zeros(len(false), int)]),
        "ignored": np.zeros(len(objects) + len(false), int),
    }
    return sort_matches("0a", len(effects), columns, (objects, classes))


def synthetic_arms(
    generator: np.random.Generator, seeds: int, images: int, seed_spread: float, image_spread: float
) -> tuple[dict[int, ImageMatches], dict[int, ImageMatches]]:
    """Return two arms of equal quality: over all seeds and images, their expected difference is 0."""
    objects = np.repeat(np.arange(images), 1 + generator.poisson(4, images))
    classes = (generator.random(len(objects)) < 0.4).astype(int)
    difficulty = 0.15 * generator.normal(size=images)
    arms = []
    for _ in range(2):
        effects = difficulty + image_spread * generator.normal(size=images)
        spread = seed_spread * generator.normal(size=seeds)
        arms.append({seed: synthetic_run(generator, objects, classes, spread[seed], effects) for seed in range(seeds)})
    return arms[0], arms[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "seed_spread", "image_spread"),
    [(8, 0.05, 0.0), (8, 0.05, 0.15), (8, 0.005, 0.2), (8, 0.0, 0.0), (3, 0.05, 0.15)],
)
def test_the_interval_holds_the_true_difference_at_its_confidence(seeds, seed_spread, image_spread):
    generator, studies = np.random.default_rng(1), 300
    found = [
        not_none(
            image_difference(
                *synthetic_arms(generator, seeds, 80, seed_spread, image_spread), "map50_95", resamples=100
            )
        )
        for _ in range(studies)
    ]
    covered = np.mean([each.low <= 0 <= each.high for each in found])
    # 95 % less three standard errors of the simulation; the interval may be a little too wide.
    assert 0.912 <= covered <= 0.99
    spread = np.std([each.difference for each in found])
    assert np.mean([each.error**2 for each in found]) ** 0.5 == pytest.approx(spread, rel=0.15)


def arms(seeds: int = 3) -> tuple[dict[int, ImageMatches], dict[int, ImageMatches]]:
    return synthetic_arms(np.random.default_rng(0), seeds, 30, 0.05, 0.1)


def test_the_result_is_reproducible_and_independent_of_the_order_of_seeds():
    first, second = arms()
    expected = image_difference(first, second, "map50")
    assert image_difference(first, second, "map50") == expected
    assert image_difference(dict(reversed(first.items())), second, "map50") == expected
    swapped = not_none(image_difference(second, first, "map50"))
    assert astuple(swapped)[3:6] == pytest.approx(astuple(not_none(expected))[3:6])
    assert swapped.low == pytest.approx(-not_none(expected).high)
    assert image_difference(first, second, "map50_95") != expected


def test_only_common_seeds_count():
    first, second = arms()
    more = {**second, 7: second[0]}
    assert image_difference(first, more, "map50") == image_difference(first, second, "map50")
    assert not_none(image_difference(first, more, "map50")).seeds == (0, 1, 2)


def test_equal_arms_differ_by_nothing():
    first, _ = arms()
    assert astuple(not_none(image_difference(first, first, "map50_95")))[2:] == (0, 0, 0, 0, 0, 0)


def test_what_cannot_be_compared_gives_none():
    first, second = arms()
    other = synthetic_arms(np.random.default_rng(0), 3, 29, 0, 0)[0]
    assert image_difference(first, second, "precision") is None
    assert image_difference(first, {0: second[0], 5: second[1]}, "map50_95") is None
    assert image_difference(first, {}, "map50_95") is None
    assert image_difference(first, other, "map50_95") is None
    one = {seed: synthetic_arms(np.random.default_rng(0), 1, 1, 0, 0)[0][0] for seed in range(2)}
    assert image_difference(one, one, "map50_95") is None
    renamed = {seed: replace(record, fingerprint="0b") for seed, record in second.items()}
    assert image_difference(first, renamed, "map50_95") is None


def test_the_sentence_has_the_numbers_of_the_comparison():
    first, second = arms()
    found = not_none(image_difference(first, second, "map50_95"))
    text = describe_image_chance(found, "mAP50-95").replace("−", "-")
    for value in (
        f"{found.difference:+.3f}",
        f"{found.seed_error:.3f}",
        f"{found.low:+.3f}",
        f"{found.high:+.3f}",
        "30",
    ):
        assert value in text
