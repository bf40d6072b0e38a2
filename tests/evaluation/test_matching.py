"""Matches of detections and objects, checked against a brute-force matcher, by hand, and against supervision."""

from collections.abc import Sequence

import numpy as np
import pytest
import supervision
import torch
from torchvision.ops import box_iou

from tests.helpers.detection_samples import Sample, detections, measure, random_samples, truth


def brute_force_scores(samples: Sequence[Sample], category: int, threshold: float) -> tuple[float, float, float]:
    """Return precision, recall, and F1 of a class by matching one detection after the other."""
    right = wrong = objects = 0
    for found, target in samples:
        mine, crowds = [], []
        for box, kind, crowd in zip(target.boxes, target.classes, target.crowd, strict=True):
            if kind == category:
                (crowds if crowd else mine).append(box)
        objects += len(mine)
        kept = [row for row in found.tolist() if row[5] == category and row[4] >= threshold]
        for row in sorted(kept, key=lambda row: -row[4]):
            box = torch.tensor([row[:4]])
            ious = [float(box_iou(box, other[None])) for other in mine]
            if ious and max(ious) >= 0.5:
                mine.pop(ious.index(max(ious)))
                right += 1
                continue
            area = (row[2] - row[0]) * (row[3] - row[1])
            corners = [(torch.maximum(box[0, :2], other[:2]), torch.minimum(box[0, 2:], other[2:])) for other in crowds]
            if not any(float((low - high).clamp(min=0).prod()) >= 0.5 * area for high, low in corners):
                wrong += 1
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / objects
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


@pytest.mark.parametrize("crowds", [0.0, 0.3])
def test_precision_recall_and_f1_equal_a_brute_force_matcher(crowds: float) -> None:
    samples = random_samples(1, classes=3, images=6, crowds=crowds)
    metrics = measure(samples, ["a", "b", "nowhere"])
    assert metrics.confidence is not None
    for number in (0, 1):
        each = metrics.per_class[number]
        expected = brute_force_scores(samples, number, metrics.confidence)
        assert (each.precision, each.recall, each.f1) == pytest.approx(expected)
        for place in (0, 250, 500, 731):
            curves = metrics.curves
            actual = (curves.precision[number, place], curves.recall[number, place], curves.f1[number, place])
            assert actual == pytest.approx(brute_force_scores(samples, number, place / 1000))
    thresholds = sorted({row[4] for found, _ in samples for row in found.tolist()})
    means = {
        threshold: np.mean([brute_force_scores(samples, number, threshold)[2] for number in (0, 1)])
        for threshold in thresholds
    }
    assert metrics.f1 == pytest.approx(max(means.values()))
    # The threshold is midway between the least confident detection above it and the next one below it.
    weakest = max(threshold for threshold, mean in means.items() if mean == pytest.approx(max(means.values())))
    below = max((threshold for threshold in thresholds if threshold < weakest), default=0.0)
    assert metrics.confidence == pytest.approx((weakest + below) / 2)
    nowhere = metrics.per_class[2]
    assert nowhere.objects == nowhere.images == 0
    assert nowhere.precision is nowhere.recall is nowhere.f1 is None


def test_scores_of_five_detections_computed_by_hand() -> None:
    squares = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
    found = detections(
        [0, 0, 10, 10, 0.9, 0],  # right
        [20, 0, 30, 8, 0.8, 0],  # right, at IoU 0.8
        [20, 0, 30, 10, 0.7, 0],  # wrong: its object is matched already
        [40, 0, 50, 10, 0.6, 1],  # wrong: another class
        [60, 0, 70, 10, 0.2, 0],  # right
    )
    metrics = measure([(found, truth(squares, [0, 0, 0, 0])), (detections(), truth([], []))], ["a", "b"])
    first, second = metrics.per_class
    # Precision 1 up to recall 2/4, then 3/4 up to 3/4: 51 and 25 of the 101 recalls.
    assert first.ap50 == pytest.approx((51 + 25 * 0.75) / 101)
    # At IoU 0.85 and above, the second detection is wrong and the third is right: 1/1, 2/3, 3/4.
    above = (26 + 50 * 0.75) / 101
    assert first.ap50_95 == pytest.approx((7 * (51 + 25 * 0.75) / 101 + 3 * above) / 10)
    assert metrics.map_small == metrics.map50_95 == first.ap50_95
    assert metrics.map_medium is metrics.map_large is None
    # F1 of the first k detections of class 0: 2/5, 4/6, 4/7, 6/8.
    assert (first.precision, first.recall, first.f1) == pytest.approx((3 / 4, 3 / 4, 3 / 4))
    assert (metrics.precision, metrics.recall, metrics.f1) == pytest.approx((3 / 4, 3 / 4, 3 / 4))
    assert metrics.confidence == pytest.approx(0.1)
    assert (first.images, first.objects, second.images, second.objects) == (1, 4, 0, 0)
    assert (metrics.images, metrics.objects) == (2, 4)
    assert metrics.confusion.tolist() == [[2, 1, 1], [0, 0, 0], [1, 0, 0]]


def test_a_match_takes_an_overlap_of_half_and_the_object_that_overlaps_most() -> None:
    objects = truth([[0, 0, 10, 10], [50, 0, 60, 10]], [0, 0])
    found = detections([0, 0, 10, 5, 0.9, 0], [50, 0, 60, 4.9, 0.8, 0])
    metrics = measure([(found, objects)], ["a"])
    assert (metrics.precision, metrics.recall) == (1, 0.5)
    # The first detection overlaps both objects, the second one more (0.82 against 0.67). The second detection overlaps
    # the first object only (0.54).
    objects = truth([[0, 0, 10, 10], [3, 0, 13, 10]], [0, 0])
    found = detections([2, 0, 12, 10, 0.9, 0], [-3, 0, 7, 10, 0.8, 0])
    metrics = measure([(found, objects)], ["a"])
    assert (metrics.precision, metrics.recall, metrics.f1) == (1, 1, 1)


def test_the_highest_of_equally_good_confidences_is_returned() -> None:
    objects = truth([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])
    right, wrong = [[0, 0, 10, 10], [20, 0, 30, 10]], [70, 0, 80, 10]
    # F1 of the first k detections: 2/3, 2/4, 2/5, 4/6. The last equals the first up to a rounding error.
    rows = [[*right[0], 0.8, 0], [*wrong, 0.6, 0], [*wrong, 0.4, 0], [*right[1], 0.2, 0]]
    assert measure([(detections(*rows), objects)], ["a"]).confidence == pytest.approx(0.7)
    # With more objects and two classes, the sums of F1 are rounded up or down.
    for count in range(2, 12):
        many = truth([[20 * place, 0, 20 * place + 10, 10] for place in range(count)] * 2, [0] * count + [1] * count)
        noise = [[0, 50, 10, 60, 0.8 - 0.01 * place] for place in range(count)]
        rows = [[*row, kind] for kind in (0, 1) for row in ([*right[0], 0.9], *noise, [*right[1], 0.1])]
        assert measure([(detections(*rows), many)], ["a", "b"]).confidence == pytest.approx(0.85)
    # Detections with equal confidence are above or below a threshold together, even if the first alone were best.
    tied = [[*right[0], 0.8, 0], [*wrong, 0.8, 0], [*wrong, 0.4, 0]]
    assert measure([(detections(*tied), objects)], ["a"]).confidence == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(4))
def test_the_confusion_matrix_is_that_of_supervision(seed: int) -> None:
    samples = random_samples(seed)
    peer = supervision.ConfusionMatrix.from_tensors(
        predictions=[found[:, [0, 1, 2, 3, 5, 4]].numpy() for found, _ in samples],
        targets=[torch.cat([target.boxes, target.classes[:, None].float()], dim=1).numpy() for _, target in samples],
        classes=["a", "b", "c", "d"],
        conf_threshold=0.25,
        iou_threshold=0.45,
    )
    matrix = measure(samples, ["a", "b", "c", "d"]).confusion
    assert matrix.tolist() == peer.matrix.tolist()
    assert matrix[:3, :3].sum() > matrix[:3, :3].trace() > 0


def test_detections_in_a_crowd_are_neither_right_nor_wrong() -> None:
    objects = truth([[0, 0, 100, 100], [0, 0, 10, 10]], [0, 0], crowd=[True, False])
    found = detections(
        [0, 0, 10, 10, 0.9, 0],  # the object
        [50, 50, 60, 60, 0.8, 0],  # in the crowd
        [50, 50, 60, 60, 0.8, 1],  # in a crowd of another class
        [150, 50, 160, 60, 0.8, 0],  # elsewhere
    )
    metrics = measure([(found, objects)], ["a", "b"])
    assert metrics.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert metrics.objects == 1
    assert metrics.curves.precision[0, 800] == pytest.approx(1 / 2)
    assert metrics.curves.recall[0, 800] == 1
