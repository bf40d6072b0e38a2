"""NMS against the results of the originals, and against a slow, literal implementation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attendet.detection.anchor_decoding import class_confidences
from attendet.detection.postprocess import DetectionThresholds
from attendet.detection.suppression import nms
from attendet.errors import OptionError
from tests.helpers.oracles import Oracle


@pytest.mark.parametrize("case", ["predict", "validate", "agnostic"])
@pytest.mark.parametrize(
    ("family", "rows_of"),
    [("nms", class_confidences), ("nms8", lambda predictions: predictions.transpose(1, 2))],
    ids=["objectness", "no objectness"],
)
def test_equal_to_the_original(
    oracle: Callable[[str], Oracle], family: str, rows_of: Callable[[Tensor], Tensor], case: str, device: torch.device
) -> None:
    expected = oracle(f"{family}_{case}")
    settings = expected.settings
    detections = nms(
        rows_of(expected["pred"].to(device)),
        confidence=settings["conf_thres"],
        iou=settings["iou_thres"],
        max_detections=settings["max_det"],
        multi_label=settings.get("multi_label", False),
        agnostic=settings.get("agnostic", False),
    )
    assert len(detections) == sum(key.startswith("out") for key in expected.arrays)
    for image, found in enumerate(detections):
        torch.testing.assert_close(found.cpu(), expected[f"out{image}"], rtol=1e-4, atol=1e-3)


def literal_nms(rows: Tensor, confidence: float, iou: float) -> list[list[float]]:
    """Suppress greedily with the best class of each box: take the best box, drop the boxes that overlap it, repeat."""
    boxes = []
    for x, y, w, h, *scores in rows.tolist():
        best = max(range(len(scores)), key=scores.__getitem__)
        if scores[best] > confidence:
            boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2, scores[best], best])
    boxes.sort(key=lambda box: -box[4])
    selected: list[list[float]] = []
    for box in boxes:
        if all(other[5] != box[5] or overlap(other, box) <= iou for other in selected):
            selected.append(box)
    return selected


def overlap(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_a_literal_implementation(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    centers = torch.rand(60, 2, generator=generator) * 60
    sides = torch.rand(60, 2, generator=generator) * 30 + 5
    predictions = torch.cat([centers, sides, torch.rand(60, 3, generator=generator) ** 2], dim=1)
    expected = torch.tensor(literal_nms(predictions, 0.1, 0.4))
    torch.testing.assert_close(nms(predictions[None], confidence=0.1, iou=0.4)[0], expected)


def test_no_candidates_give_no_detections() -> None:
    empty = nms(torch.zeros(2, 10, 8))
    assert [tuple(found.shape) for found in empty] == [(0, 6), (0, 6)]
    assert nms(torch.zeros(1, 0, 8))[0].shape == (0, 6)


def test_half_precision_is_converted_to_float32() -> None:
    predictions = torch.rand(1, 50, 7, generator=torch.Generator().manual_seed(0))
    assert nms(predictions.bfloat16())[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.5}, "`confidence` must be a number from 0 to 1, got 1.5"),
        ({"iou": -0.1}, "`iou` must be a number from 0 to 1, got -0.1"),
        ({"max_detections": 0}, "`max_detections` must be a positive integer, got 0"),
    ],
)
def test_refuses_thresholds_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        nms(torch.zeros(1, 1, 7), **options)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match=message):
        DetectionThresholds(**options)  # pyright: ignore[reportArgumentType]
