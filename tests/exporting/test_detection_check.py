"""The check of a file's detections: rounding may change them, mistakes are counted."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_convert

from attendet.exporting.detection_check import count_differing
from attendet.runtimes.file_description import BakedSelection

TOLERANCE = 1e-3
SELECTION = BakedSelection(confidence=0.25, iou=0.5, max_detections=400, agnostic=False)


def random_predictions(seed: int) -> Tensor:
    """Return 400 predictions of overlapping boxes of three classes; many scores are saturated."""
    generator = torch.Generator().manual_seed(seed)
    centers = 200 * torch.rand(400, 2, generator=generator)
    sides = 20 + 30 * torch.rand(400, 2, generator=generator)
    scores = (8 * torch.randn(400, 3, generator=generator) - 4).sigmoid()
    return torch.cat([centers, sides, scores], 1)


def rounded(predictions: Tensor, seed: int) -> Tensor:
    """Return predictions with the rounding errors of another runtime."""
    generator = torch.Generator().manual_seed(seed)
    boxes = predictions[:, :4] + 1e-3 * torch.randn(len(predictions), 4, generator=generator)
    scores = predictions[:, 4:] * (1 - 1e-6 * torch.rand(predictions[:, 4:].shape, generator=generator))
    return torch.cat([boxes, scores], 1)


def select(predictions: Tensor, selection: BakedSelection = SELECTION) -> Tensor:
    """Select detections with torchvision."""
    scores, classes = predictions[:, 4:].max(1)
    boxes = box_convert(predictions[:, :4], "cxcywh", "xyxy")
    rows = torch.cat([boxes, scores[:, None], classes[:, None].float()], 1)[scores > selection.confidence]
    groups = torch.zeros_like(rows[:, 5]) if selection.agnostic else rows[:, 5]
    kept = batched_nms(rows[:, :4], rows[:, 4], groups, selection.iou)
    return rows[kept[: selection.max_detections]]


@pytest.mark.parametrize("changes", [{}, {"agnostic": True}, {"max_detections": 20}, {"iou": 0.7}])
def test_rounding_may_change_the_detections(changes: dict[str, float]) -> None:
    selection = SELECTION.model_copy(update=changes)
    changed = 0
    for seed in range(10):
        predictions = random_predictions(seed)
        expected, found = select(predictions, selection), select(rounded(predictions, seed), selection)
        changed += len(expected) != len(found) or bool(((expected - found).abs() > 1).any())
        assert count_differing(predictions, found, selection, TOLERANCE) == 0
        assert count_differing(predictions, expected, selection, TOLERANCE) == 0
    assert changed > 3


def moved(detections: Tensor) -> Tensor:
    return torch.cat([detections[:1] + torch.tensor([8.0, 8, 8, 8, 0, 0]), detections[1:]])


def of_another_class(detections: Tensor) -> Tensor:
    return torch.cat([detections[:-1], detections[-1:] + torch.tensor([0.0, 0, 0, 0, 0, 1])])


def less_confident(detections: Tensor) -> Tensor:
    return detections - torch.tensor([0.0, 0, 0, 0, 0.01, 0])


@pytest.mark.parametrize("change", [moved, of_another_class, less_confident, lambda detections: detections[1:]])
def test_wrong_detections_are_counted(change: Callable[[Tensor], Tensor]) -> None:
    predictions = random_predictions(0)
    # The last class is 0 or 1, so that there is another one.
    detections = select(predictions)
    detections = detections[: int((detections[:, 5] < 2).nonzero().max()) + 1]
    selection = SELECTION.model_copy(update={"max_detections": len(detections)})
    assert count_differing(predictions, detections, selection, TOLERANCE) == 0
    assert count_differing(predictions, change(detections), selection, TOLERANCE) > 0


@pytest.mark.parametrize(
    "changes", [{"iou": 0.45}, {"iou": 0.55}, {"confidence": 0.2}, {"confidence": 0.3}, {"agnostic": True}]
)
def test_other_thresholds_are_mistakes(changes: dict[str, float]) -> None:
    predictions = random_predictions(1)
    other = select(predictions, SELECTION.model_copy(update=changes))
    assert count_differing(predictions, other, SELECTION, TOLERANCE) > 0


def test_images_without_detections() -> None:
    predictions, none = random_predictions(2), torch.zeros(0, 6)
    low = predictions * torch.tensor([1.0, 1, 1, 1, 0, 0, 0])
    assert count_differing(low, none, SELECTION, TOLERANCE) == 0
    assert count_differing(predictions, none, SELECTION, TOLERANCE) >= len(select(predictions))
    assert count_differing(low, select(predictions), SELECTION, TOLERANCE) == len(select(predictions))
