"""A network's detections on a batch, in pixels of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attendet.data.dataset import Placed
from attendet.data.letterbox import Letterbox
from attendet.data.records import Record
from attendet.detection.nms import nms
from attendet.engine.config import ValidationConfig
from attendet.engine.matching import Truth
from attendet.graph.detector import Detector


def detect(detector: Detector, raw: Sequence[Tensor], placed: Placed, options: ValidationConfig) -> list[Tensor]:
    """Return the detections of each image (k, 6): x1, y1, x2, y2 in pixels of the image, confidence, class.

    Every class of a box that is confident enough is a detection, as in YOLOv5's validation.
    """
    found = nms(
        detector.decode(raw),
        confidence=options.confidence,
        iou=options.iou,
        max_detections=options.max_detections,
        multi_label=True,
    )
    return [
        torch.cat([to_image(detections[:, :4], letterbox, record), detections[:, 4:]], dim=1)
        for detections, letterbox, record in zip(found, placed.letterboxes, placed.records, strict=True)
    ]


def to_image(boxes: Tensor, letterbox: Letterbox, record: Record) -> Tensor:
    """Return boxes (k, 4) on the canvas as boxes on the image, clipped to it."""
    moved = letterbox.to_image(boxes.cpu().double().numpy())
    return torch.from_numpy(moved.clip(0, [record.width, record.height] * 2)).to(boxes)


def truth(record: Record) -> Truth:
    """Return what there is to be found in an image."""
    return Truth(torch.from_numpy(record.boxes).float(), torch.tensor(record.classes), torch.tensor(record.crowd))


@dataclass(frozen=True)
class Seconds:
    """Time per image by stage.

    Attributes:
        load: Reading and letterboxing.
        network: From pixels to raw maps.
        nms: From raw maps to detections.
    """

    load: float
    network: float
    nms: float
