"""Detections and ground truth: written by hand, random, and of a real data set with perturbed boxes."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest
import torch
from torch import Tensor

from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Evaluation, Metrics
from tests.helpers.oracles import SHARED

Sample = tuple[Tensor, GroundTruth]


def truth(boxes: Sequence[Sequence[float]], classes: Sequence[int], crowd: Sequence[bool] | None = None) -> GroundTruth:
    return GroundTruth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(classes, dtype=torch.int64),
        torch.tensor(crowd or [False] * len(classes), dtype=torch.bool),
    )


def detections(*rows: Sequence[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)


def measure(samples: Sequence[Sample], names: Sequence[str]) -> Metrics:
    evaluation = Evaluation(names)
    for found, objects in samples:
        evaluation.update([found], [objects])
    return evaluation.compute()


def random_boxes(count: int, generator: torch.Generator) -> Tensor:
    corner = 400 * torch.rand(count, 2, generator=generator)
    size = torch.exp(5.5 * torch.rand(count, 2, generator=generator))
    return torch.cat([corner, corner + size], dim=1)


def detect_badly(objects: GroundTruth, classes: int, extra: int, generator: torch.Generator) -> Tensor:
    """Return detections with shifted boxes, wrong classes, misses, duplicates, and false positives."""
    sizes = (objects.boxes[:, 2:] - objects.boxes[:, :2]).repeat(1, 2)
    boxes, kinds = [], []
    for _ in range(2):
        kept = torch.rand(len(sizes), generator=generator) < 0.7
        boxes.append((objects.boxes + 0.12 * sizes * torch.randn(len(sizes), 4, generator=generator))[kept])
        mistaken = torch.rand(len(sizes), generator=generator) < 0.2
        others = torch.randint(0, classes, (len(sizes),), generator=generator)
        kinds.append(torch.where(mistaken, others, objects.classes)[kept])
    boxes.append(random_boxes(extra, generator))
    kinds.append(torch.randint(0, classes, (extra,), generator=generator))
    corners = torch.cat(boxes)
    ordered = torch.cat(
        [torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])], 1
    )
    # Rounding makes some confidences occur more than once.
    confidences = (torch.rand(len(ordered), 1, generator=generator) * 500).round() / 500
    return torch.cat([ordered, confidences, torch.cat(kinds)[:, None].float()], dim=1)


def random_samples(seed: int, *, classes: int = 4, images: int = 25, crowds: float = 0.0) -> list[Sample]:
    """Return random images; the last class has detections but no objects."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for _ in range(images):
        count = int(torch.randint(0, 12, (1,), generator=generator))
        objects = GroundTruth(
            random_boxes(count, generator),
            torch.randint(0, classes - 1, (count,), generator=generator),
            torch.rand(count, generator=generator) < crowds,
        )
        samples.append((detect_badly(objects, classes, 8, generator), objects))
    return samples


def bccd_samples() -> tuple[list[Sample], list[str]]:
    folder = SHARED / "data" / "bccd"
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    names = ["RBC", "WBC", "Platelets"]
    generator = torch.Generator().manual_seed(0)
    samples = []
    for stem in (folder / "ImageSets/Main/val.txt").read_text().split():
        elements = ET.parse(folder / "Annotations" / f"{stem}.xml").findall("object")  # noqa: S314
        boxes = [
            [float(each.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
            for each in elements
        ]
        objects = truth(boxes, [names.index(each.findtext("name", "")) for each in elements])
        samples.append((detect_badly(objects, 3, 10, generator), objects))
    return samples, names
