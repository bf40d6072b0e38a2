"""Average precision is compared with COCO's evaluator on COCO's own files, and with supervision."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import supervision
import torch
from faster_coco_eval import COCO, COCOeval_faster
from supervision.metrics import MeanAveragePrecision

from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Metrics
from tests.helpers.detection_samples import Sample, bccd_samples, measure, random_boxes, random_samples


def coco_by_files(samples: Sequence[Sample], classes: int, folder: Path) -> COCOeval_faster:
    """Write ground truth and detections as COCO files, and evaluate these."""
    annotations, results = [], []
    for image, (found, objects) in enumerate(samples):
        for box, category, crowd in zip(objects.boxes.double(), objects.classes, objects.crowd, strict=True):
            x1, y1, x2, y2 = box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(category),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(crowd),
                }
            )
        for x1, y1, x2, y2, score, category in found.double().tolist():
            bbox = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": image, "category_id": int(category), "bbox": bbox, "score": score})
    images = [{"id": image, "width": 640, "height": 640} for image in range(len(samples))]
    categories = [{"id": category, "name": str(category)} for category in range(classes)]
    (folder / "truth.json").write_text(
        json.dumps({"images": images, "categories": categories, "annotations": annotations})
    )
    (folder / "results.json").write_text(json.dumps(results))
    ground_truth = COCO(str(folder / "truth.json"))
    evaluation = COCOeval_faster(ground_truth, ground_truth.loadRes(str(folder / "results.json")), iouType="bbox")
    evaluation.run()
    return evaluation


def assert_equal_to_coco(metrics: Metrics, evaluation: COCOeval_faster) -> None:
    sizes = [metrics.map_small, metrics.map_medium, metrics.map_large]
    ours = [metrics.map50_95, metrics.map50, metrics.map75, *(-1 if value is None else value for value in sizes)]
    assert ours == pytest.approx(list(evaluation.stats[:6]), abs=1e-9)
    for number, each in enumerate(metrics.per_class):
        expected = evaluation.eval["precision"][:, :, number, 0, -1]
        if (expected < 0).any():
            assert each.ap50 is each.ap50_95 is None
            assert np.isnan(metrics.curves.precision_at_recall[number]).all()
        else:
            assert (each.ap50, each.ap50_95) == pytest.approx((expected[0].mean(), expected.mean()), abs=1e-9)
            assert metrics.curves.precision_at_recall[number] == pytest.approx(expected[0], abs=1e-9)


@pytest.mark.parametrize("crowds", [0.0, 0.2])
def test_random_boxes_give_the_precision_of_cocos_evaluator(crowds: float, tmp_path: Path) -> None:
    samples = random_samples(0, crowds=crowds)
    metrics = measure(samples, ["a", "b", "c", "d"])
    assert 0.1 < metrics.map50_95 < metrics.map50 < 0.9
    assert_equal_to_coco(metrics, coco_by_files(samples, 4, tmp_path))


def test_a_real_data_set_gives_the_precision_of_cocos_evaluator(tmp_path: Path) -> None:
    samples, names = bccd_samples()
    metrics = measure(samples, names)
    assert (metrics.images, metrics.objects) == (87, sum(len(objects.classes) for _, objects in samples))
    assert_equal_to_coco(metrics, coco_by_files(samples, 3, tmp_path))


def test_only_a_hundred_detections_per_class_count(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    objects = GroundTruth(
        random_boxes(150, generator), torch.zeros(150, dtype=torch.int64), torch.zeros(150, dtype=torch.bool)
    )
    confidences = torch.rand(150, 1, generator=generator)
    samples = [(torch.cat([objects.boxes, confidences, torch.zeros(150, 1)], dim=1), objects)]
    metrics = measure(samples, ["a"])
    assert metrics.map50 == pytest.approx(67 / 101)
    assert_equal_to_coco(metrics, coco_by_files(samples, 1, tmp_path))


def test_mean_average_precision_agrees_with_supervision() -> None:
    samples, names = bccd_samples()
    metrics = measure(samples, names)
    peer = MeanAveragePrecision()
    for found, objects in samples:
        peer.update(
            supervision.Detections(
                found[:, :4].numpy(), confidence=found[:, 4].numpy(), class_id=found[:, 5].numpy().astype(int)
            ),
            supervision.Detections(objects.boxes.numpy(), class_id=objects.classes.numpy()),
        )
    theirs = peer.compute()
    assert (metrics.map50_95, metrics.map50, metrics.map75) == pytest.approx(
        (theirs.map50_95, theirs.map50, theirs.map75), abs=1e-6
    )
