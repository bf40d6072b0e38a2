"""Metrics of empty and degenerate images, of other tensor types, across processes, and as text."""

import json
import pickle

import pytest
import torch
from torch import Tensor

from attendet.errors import OptionError
from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Evaluation
from tests.helpers.detection_samples import Sample, detections, measure, random_samples, truth


@pytest.mark.parametrize(
    "samples", [[], [(detections(), truth([], []))], [(detections([0, 0, 9, 9, 0.9, 0]), truth([], []))]]
)
def test_metrics_without_objects_are_zero_or_none(samples: list[Sample]) -> None:
    metrics = measure(samples, ["a", "b"])
    assert metrics.objects == metrics.map50_95 == metrics.map50 == metrics.map75 == 0
    assert metrics.precision == metrics.recall == metrics.f1 == 0
    assert metrics.map_small is metrics.confidence is metrics.per_class[0].ap50 is None
    assert metrics.confusion[-1].sum() == metrics.confusion.sum() == sum(len(found) for found, _ in samples)
    json.dumps(metrics.to_dict(curves=True), allow_nan=False)


@pytest.mark.parametrize("found", [detections(), detections([70, 70, 90, 90, 0.9, 0])])
def test_metrics_of_objects_that_are_not_detected(found: Tensor) -> None:
    metrics = measure([(found, truth([[0, 0, 50, 50]], [0]))], ["a"])
    assert metrics.map50 == metrics.recall == metrics.precision == metrics.f1 == metrics.map_medium == 0
    assert metrics.confidence is metrics.map_small is None
    assert metrics.per_class[0].recall == 0
    assert metrics.confusion.tolist() == [[0, 1], [len(found), 0]]


def test_a_box_with_nan_is_wrong() -> None:
    found = detections([float("nan"), 0, 50, 50, 0.9, 0], [0, 0, 50, 50, 0.7, 0])
    metrics = measure([(found, truth([[0, 0, 50, 50]], [0]))], ["a"])
    assert metrics.map50 == pytest.approx(1 / 2)
    assert metrics.precision == pytest.approx(1 / 2)
    assert metrics.confusion.tolist() == [[1, 0], [1, 0]]


def test_evaluations_of_several_processes_are_merged() -> None:
    samples, names = random_samples(5, crowds=0.1), ["a", "b", "c", "d"]
    parts = [Evaluation(names), Evaluation(names)]
    for part, half in zip(parts, (samples[:10], samples[10:]), strict=True):
        part.update([found for found, _ in half], [objects for _, objects in half])
    whole = Evaluation(names)
    for part in parts:
        whole.merge(pickle.loads(pickle.dumps(part)))  # noqa: S301
    assert whole.compute().to_dict(curves=True) == measure(samples, names).to_dict(curves=True)


def test_any_device_and_half_precision(device: torch.device) -> None:
    # Whole numbers up to 256 and these confidences are exact in bfloat16.
    found = detections([0, 0, 64, 128, 0.75, 0], [64, 0, 128, 40, 0.5, 1])
    objects = truth([[0, 0, 64, 120], [64, 0, 128, 64]], [0, 1])
    expected = measure([(found, objects)], ["a", "b"]).to_dict(curves=True)
    assert 0 < expected["map50_95"] < expected["map50"] == pytest.approx(1)
    moved = GroundTruth(
        objects.boxes.to(device, torch.bfloat16), objects.classes.to(device, torch.int32), objects.crowd.to(device)
    )
    actual = measure([(found.to(device, torch.bfloat16).requires_grad_(), moved)], ["a", "b"])
    assert actual.to_dict(curves=True) == expected


def test_to_dict_is_plain_json() -> None:
    plain = measure(random_samples(6), ["a", "b", "c", "d"]).to_dict(curves=True)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["per_class"][3]["ap50"] is None
    assert plain["curves"]["f1"][3][0] is None
    assert "curves" not in measure([], ["a"]).to_dict()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    measure(random_samples(7, images=3), ["a", "b", "c", "d"])
    assert capfd.readouterr() == ("", "")


def test_metrics_show_themselves() -> None:
    objects = truth([[0, 0, 50, 50]], [0])
    metrics = measure([(detections([0, 0, 50, 50, 0.9, 0]), objects)], ["<b>", "empty"])
    assert repr(metrics) == (
        "Metrics(map50_95=1.000, map50=1.000, precision=1.000, recall=1.000, f1=1.000, images=1, objects=1, classes=2)"
    )
    assert repr(metrics.curves) == "Curves(2 classes)"
    html = metrics._repr_html_()
    assert '<tr><td class="text">&lt;b&gt;</td><td>1</td><td>1</td><td>1.000</td>' in html
    assert '<tr><td class="text">empty</td><td>0</td><td>0</td><td>-</td>' in html


def test_update_and_merge_refuse_what_does_not_fit() -> None:
    evaluation = Evaluation(["a"])
    with pytest.raises(OptionError, match="`truths` must have one entry per image, got 0 for 1 image"):
        evaluation.update([detections()], [])
    with pytest.raises(OptionError, match="the class of each detection must be 0 to 0, got 1; use the class names"):
        evaluation.update([detections([0, 0, 9, 9, 0.9, 1])], [truth([], [])])
    with pytest.raises(OptionError, match="the class of each object must be 0 to 0, got 7; use the class names"):
        evaluation.update([detections()], [truth([[0, 0, 9, 9]], [7])])
    with pytest.raises(OptionError, match=r"`other` must have the classes \('a',\), got \('b',\)"):
        evaluation.merge(Evaluation(["b"]))
    assert evaluation.compute().images == 0
