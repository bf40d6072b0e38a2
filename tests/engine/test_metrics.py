"""Measuring detections: against COCO's files and evaluator, supervision, brute force, and by hand."""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import supervision
import torch
from faster_coco_eval import COCO, COCOeval_faster
from supervision.metrics import MeanAveragePrecision
from torch import Tensor
from torchvision.ops import box_iou

from attendet.engine.metrics import Evaluation, Metrics, Truth
from attendet.errors import OptionError
from tests.conftest import SHARED

Sample = tuple[Tensor, Truth]


def truth(boxes: Sequence[Sequence[float]], classes: Sequence[int], crowd: Sequence[bool] | None = None) -> Truth:
    return Truth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(classes, dtype=torch.int64),
        torch.tensor(crowd or [False] * len(classes), dtype=torch.bool),
    )


def detections(*rows: Sequence[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)


def measure(samples: Sequence[Sample], names: Sequence[str]) -> Metrics:
    evaluation = Evaluation(names)
    for found, what in samples:
        evaluation.update([found], [what])
    return evaluation.compute()


def random_boxes(count: int, generator: torch.Generator) -> Tensor:
    corner = 400 * torch.rand(count, 2, generator=generator)
    size = torch.exp(5.5 * torch.rand(count, 2, generator=generator))
    return torch.cat([corner, corner + size], dim=1)


def detect_badly(what: Truth, classes: int, extra: int, generator: torch.Generator) -> Tensor:
    """Shift the true boxes, mistake some classes, miss some, see some twice and some that are not there."""
    sizes = (what.boxes[:, 2:] - what.boxes[:, :2]).repeat(1, 2)
    boxes, kinds = [], []
    for _ in range(2):
        kept = torch.rand(len(sizes), generator=generator) < 0.7
        boxes.append((what.boxes + 0.12 * sizes * torch.randn(len(sizes), 4, generator=generator))[kept])
        mistaken = torch.rand(len(sizes), generator=generator) < 0.2
        others = torch.randint(0, classes, (len(sizes),), generator=generator)
        kinds.append(torch.where(mistaken, others, what.classes)[kept])
    boxes.append(random_boxes(extra, generator))
    kinds.append(torch.randint(0, classes, (extra,), generator=generator))
    corners = torch.cat(boxes)
    ordered = torch.cat(
        [torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])], 1
    )
    # A few confidences occur more than once.
    confidences = (torch.rand(len(ordered), 1, generator=generator) * 500).round() / 500
    return torch.cat([ordered, confidences, torch.cat(kinds)[:, None].float()], dim=1)


def random_samples(seed: int, *, classes: int = 4, images: int = 25, crowds: float = 0.0) -> list[Sample]:
    """Return images whose last class has no objects, only detections."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for _ in range(images):
        count = int(torch.randint(0, 12, (1,), generator=generator))
        what = Truth(
            random_boxes(count, generator),
            torch.randint(0, classes - 1, (count,), generator=generator),
            torch.rand(count, generator=generator) < crowds,
        )
        samples.append((detect_badly(what, classes, 8, generator), what))
    return samples


def bccd_samples() -> tuple[list[Sample], list[str]]:
    folder = SHARED / "data" / "bccd"
    if not folder.is_dir():
        pytest.skip("the real data is not here: it lies beside the project, not in it")
    names = ["RBC", "WBC", "Platelets"]
    generator = torch.Generator().manual_seed(0)
    samples = []
    for stem in (folder / "ImageSets/Main/val.txt").read_text().split():
        objects = ET.parse(folder / "Annotations" / f"{stem}.xml").findall("object")  # noqa: S314
        boxes = [
            [float(each.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")] for each in objects
        ]
        what = truth(boxes, [names.index(each.findtext("name")) for each in objects])
        samples.append((detect_badly(what, 3, 10, generator), what))
    return samples, names


def coco_by_files(samples: Sequence[Sample], classes: int, folder: Path) -> COCOeval_faster:
    """Evaluate through COCO's own file formats."""
    annotations, results = [], []
    for image, (found, what) in enumerate(samples):
        for box, category, crowd in zip(what.boxes.double(), what.classes, what.crowd, strict=True):
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
    assert ours == pytest.approx(evaluation.stats[:6].tolist(), abs=1e-9)
    for number, each in enumerate(metrics.per_class):
        expected = evaluation.eval["precision"][:, :, number, 0, -1]
        if (expected < 0).any():
            assert each.ap50 is each.ap50_95 is None
            assert np.isnan(metrics.curves.precision_at_recall[number]).all()
        else:
            assert (each.ap50, each.ap50_95) == pytest.approx((expected[0].mean(), expected.mean()), abs=1e-9)
            assert metrics.curves.precision_at_recall[number] == pytest.approx(expected[0], abs=1e-9)


@pytest.mark.parametrize("crowds", [0.0, 0.2])
def test_random_boxes_measure_as_through_cocos_files(crowds: float, tmp_path: Path) -> None:
    samples = random_samples(0, crowds=crowds)
    metrics = measure(samples, ["a", "b", "c", "d"])
    assert 0.1 < metrics.map50_95 < metrics.map50 < 0.9
    assert_equal_to_coco(metrics, coco_by_files(samples, 4, tmp_path))


def test_real_truth_disturbed_measures_as_through_cocos_files(tmp_path: Path) -> None:
    samples, names = bccd_samples()
    metrics = measure(samples, names)
    assert (metrics.images, metrics.objects) == (87, sum(len(what.classes) for _, what in samples))
    assert_equal_to_coco(metrics, coco_by_files(samples, 3, tmp_path))


def test_more_than_a_hundred_detections_of_a_class_are_cut_as_coco_does(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    what = Truth(random_boxes(150, generator), torch.zeros(150, dtype=torch.int64), torch.zeros(150, dtype=torch.bool))
    confidences = torch.rand(150, 1, generator=generator)
    samples = [(torch.cat([what.boxes, confidences, torch.zeros(150, 1)], dim=1), what)]
    metrics = measure(samples, ["a"])
    assert metrics.map50 == pytest.approx(67 / 101)
    assert_equal_to_coco(metrics, coco_by_files(samples, 1, tmp_path))


def test_mean_average_precision_agrees_with_supervision() -> None:
    samples, names = bccd_samples()
    metrics = measure(samples, names)
    peer = MeanAveragePrecision()
    for found, what in samples:
        peer.update(
            supervision.Detections(
                found[:, :4].numpy(), confidence=found[:, 4].numpy(), class_id=found[:, 5].numpy().astype(int)
            ),
            supervision.Detections(what.boxes.numpy(), class_id=what.classes.numpy()),
        )
    theirs = peer.compute()
    assert (metrics.map50_95, metrics.map50, metrics.map75) == pytest.approx(
        (theirs.map50_95, theirs.map50, theirs.map75), abs=1e-6
    )


def brute_force_scores(samples: Sequence[Sample], category: int, threshold: float) -> tuple[float, float, float]:
    """Match literally, detection after detection, and count."""
    right = wrong = objects = 0
    for found, what in samples:
        mine, crowds = [], []
        for box, kind, crowd in zip(what.boxes, what.classes, what.crowd, strict=True):
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
def test_precision_recall_and_f1_are_those_of_a_literal_matcher(crowds: float) -> None:
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
    # The confidence lies between the weakest detection to keep and the next weaker one.
    weakest = max(threshold for threshold, mean in means.items() if mean == pytest.approx(max(means.values())))
    below = max((threshold for threshold in thresholds if threshold < weakest), default=0.0)
    assert metrics.confidence == pytest.approx((weakest + below) / 2)
    nowhere = metrics.per_class[2]
    assert nowhere.objects == nowhere.images == 0
    assert nowhere.precision is nowhere.recall is nowhere.f1 is None


def test_by_hand() -> None:
    squares = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
    found = detections(
        [0, 0, 10, 10, 0.9, 0],  # right
        [20, 0, 30, 8, 0.8, 0],  # right, at IoU 0.8
        [20, 0, 30, 10, 0.7, 0],  # its object has been found already
        [40, 0, 50, 10, 0.6, 1],  # the wrong class
        [60, 0, 70, 10, 0.2, 0],  # right
    )
    metrics = measure([(found, truth(squares, [0, 0, 0, 0])), (detections(), truth([], []))], ["a", "b"])
    first, second = metrics.per_class
    # Precision 1 up to recall 2/4, then 3/4 up to 3/4: 51 and 25 of the 101 recalls.
    assert first.ap50 == pytest.approx((51 + 25 * 0.75) / 101)
    # At IoU 0.85 and more, the second is wrong and the third right: 1/1, 2/3, 3/4.
    above = (26 + 50 * 0.75) / 101
    assert first.ap50_95 == pytest.approx((7 * (51 + 25 * 0.75) / 101 + 3 * above) / 10)
    assert metrics.map_small == metrics.map50_95 == first.ap50_95
    assert metrics.map_medium is metrics.map_large is None
    # F1 of the first k: 2/5, 4/6, 4/7, 6/8.
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
    # The first overlaps both, the second object more (0.82, not 0.67); the second detection only the first (0.54).
    objects = truth([[0, 0, 10, 10], [3, 0, 13, 10]], [0, 0])
    found = detections([2, 0, 12, 10, 0.9, 0], [-3, 0, 7, 10, 0.8, 0])
    metrics = measure([(found, objects)], ["a"])
    assert (metrics.precision, metrics.recall, metrics.f1) == (1, 1, 1)


def test_of_equally_good_confidences_the_highest_is_taken() -> None:
    what = truth([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])
    right, wrong = [[0, 0, 10, 10], [20, 0, 30, 10]], [70, 0, 80, 10]
    # F1 of the first k: 2/3, 2/4, 2/5, 4/6; the last, with a rounding error more or less, equals the first.
    rows = [[*right[0], 0.8, 0], [*wrong, 0.6, 0], [*wrong, 0.4, 0], [*right[1], 0.2, 0]]
    assert measure([(detections(*rows), what)], ["a"]).confidence == pytest.approx(0.7)
    # The same with more objects and two classes, where sums of their F1 are rounded up or down.
    for count in range(2, 12):
        many = truth([[20 * place, 0, 20 * place + 10, 10] for place in range(count)] * 2, [0] * count + [1] * count)
        noise = [[0, 50, 10, 60, 0.8 - 0.01 * place] for place in range(count)]
        rows = [[*row, kind] for kind in (0, 1) for row in ([*right[0], 0.9], *noise, [*right[1], 0.1])]
        assert measure([(detections(*rows), many)], ["a", "b"]).confidence == pytest.approx(0.85)
    # Detections of one confidence stay or go together, even where the first of them alone would be best.
    tied = [[*right[0], 0.8, 0], [*wrong, 0.8, 0], [*wrong, 0.4, 0]]
    assert measure([(detections(*tied), what)], ["a"]).confidence == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(4))
def test_confusions_are_supervisions(seed: int) -> None:
    samples = random_samples(seed)
    peer = supervision.ConfusionMatrix.from_tensors(
        predictions=[found[:, [0, 1, 2, 3, 5, 4]].numpy() for found, _ in samples],
        targets=[torch.cat([what.boxes, what.classes[:, None].float()], dim=1).numpy() for _, what in samples],
        classes=["a", "b", "c", "d"],
        conf_threshold=0.25,
        iou_threshold=0.45,
    )
    matrix = measure(samples, ["a", "b", "c", "d"]).confusion
    assert matrix.tolist() == peer.matrix.tolist()
    assert matrix[:3, :3].sum() > matrix[:3, :3].trace() > 0


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong() -> None:
    what = truth([[0, 0, 100, 100], [0, 0, 10, 10]], [0, 0], crowd=[True, False])
    found = detections(
        [0, 0, 10, 10, 0.9, 0],  # the object
        [50, 50, 60, 60, 0.8, 0],  # in the crowd
        [50, 50, 60, 60, 0.8, 1],  # in a crowd of others
        [150, 50, 160, 60, 0.8, 0],  # elsewhere
    )
    metrics = measure([(found, what)], ["a", "b"])
    assert metrics.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert metrics.objects == 1
    assert metrics.curves.precision[0, 800] == pytest.approx(1 / 2)
    assert metrics.curves.recall[0, 800] == 1


@pytest.mark.parametrize(
    "samples", [[], [(detections(), truth([], []))], [(detections([0, 0, 9, 9, 0.9, 0]), truth([], []))]]
)
def test_without_objects_there_is_nothing_to_measure(samples: list[Sample]) -> None:
    metrics = measure(samples, ["a", "b"])
    assert metrics.objects == metrics.map50_95 == metrics.map50 == metrics.map75 == 0
    assert metrics.precision == metrics.recall == metrics.f1 == 0
    assert metrics.map_small is metrics.confidence is metrics.per_class[0].ap50 is None
    assert metrics.confusion[-1].sum() == metrics.confusion.sum() == sum(len(found) for found, _ in samples)
    json.dumps(metrics.to_dict(curves=True), allow_nan=False)


@pytest.mark.parametrize("found", [detections(), detections([70, 70, 90, 90, 0.9, 0])])
def test_objects_that_nothing_finds(found: Tensor) -> None:
    metrics = measure([(found, truth([[0, 0, 50, 50]], [0]))], ["a"])
    assert metrics.map50 == metrics.recall == metrics.precision == metrics.f1 == metrics.map_medium == 0
    assert metrics.confidence is metrics.map_small is None
    assert metrics.per_class[0].recall == 0
    assert metrics.confusion.tolist() == [[0, 1], [len(found), 0]]


def test_a_box_that_is_not_a_number_is_wrong() -> None:
    found = detections([float("nan"), 0, 50, 50, 0.9, 0], [0, 0, 50, 50, 0.7, 0])
    metrics = measure([(found, truth([[0, 0, 50, 50]], [0]))], ["a"])
    assert metrics.map50 == pytest.approx(1 / 2)
    assert metrics.precision == pytest.approx(1 / 2)
    assert metrics.confusion.tolist() == [[1, 0], [1, 0]]


def test_processes_gather_what_each_has_seen() -> None:
    samples, names = random_samples(5, crowds=0.1), ["a", "b", "c", "d"]
    parts = [Evaluation(names), Evaluation(names)]
    for part, half in zip(parts, (samples[:10], samples[10:]), strict=True):
        part.update([found for found, _ in half], [what for _, what in half])
    whole = Evaluation(names)
    for part in parts:
        whole.merge(pickle.loads(pickle.dumps(part)))  # noqa: S301
    assert whole.compute().to_dict(curves=True) == measure(samples, names).to_dict(curves=True)


def test_any_device_and_half_precision(device: torch.device) -> None:
    # Whole numbers up to 256 and these confidences are exact in bfloat16.
    found = detections([0, 0, 64, 128, 0.75, 0], [64, 0, 128, 40, 0.5, 1])
    what = truth([[0, 0, 64, 120], [64, 0, 128, 64]], [0, 1])
    expected = measure([(found, what)], ["a", "b"]).to_dict(curves=True)
    assert 0 < expected["map50_95"] < expected["map50"] == pytest.approx(1)
    moved = Truth(what.boxes.to(device, torch.bfloat16), what.classes.to(device, torch.int32), what.crowd.to(device))
    actual = measure([(found.to(device, torch.bfloat16).requires_grad_(), moved)], ["a", "b"])
    assert actual.to_dict(curves=True) == expected


def test_plain_values_survive_json() -> None:
    plain = measure(random_samples(6), ["a", "b", "c", "d"]).to_dict(curves=True)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["per_class"][3]["ap50"] is None
    assert plain["curves"]["f1"][3][0] is None
    assert "curves" not in measure([], ["a"]).to_dict()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    measure(random_samples(7, images=3), ["a", "b", "c", "d"])
    assert capfd.readouterr() == ("", "")


def test_what_does_not_belong_together_is_refused() -> None:
    evaluation = Evaluation(["a"])
    with pytest.raises(OptionError, match="detections of 1 images and truth of 0"):
        evaluation.update([detections()], [])
    with pytest.raises(OptionError, match="a detection has class 1 and the names end at 0"):
        evaluation.update([detections([0, 0, 9, 9, 0.9, 1])], [truth([], [])])
    with pytest.raises(OptionError, match="an object has class 7 and"):
        evaluation.update([detections()], [truth([[0, 0, 9, 9]], [7])])
    with pytest.raises(OptionError, match="different classes"):
        evaluation.merge(Evaluation(["b"]))
    assert evaluation.compute().images == 0
