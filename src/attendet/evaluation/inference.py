"""The images of a split on their way through a network, and its detections in pixels of the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.data.loading.data_module import loader
from attendet.data.loading.datasets import ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import OnDemandImages
from attendet.data.loading.resizing import Letterbox
from attendet.data.records import ImageRecord, Split
from attendet.detection.suppression import nms
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.matching import GroundTruth
from attendet.models.detector import Detector


def prepare_for_inference(detector: Detector, device: str, dtype: torch.dtype = torch.float32) -> Detector:
    """Return a copy of a network for measuring: batch norms folded into convolutions, channels last."""
    return fuse_conv_bn(detector).to(device=device, dtype=dtype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def batches(model: Detector, split: Split, imgsz: int, batch_size: int) -> Iterator[tuple[ValidationBatch, Tensor]]:
    """Yield the images of a split in order, as they lie on their canvases and as the network takes them, in 0-1.

    Args:
        model: Who takes them, with all its weights on one device and of one type.
        split: The images.
        imgsz: Longer side of the images in pixels; a multiple of the largest stride.
        batch_size: Images per batch.
    """
    weight = next(model.parameters())
    dataset = ValidationDataset(split.records, OnDemandImages(split.records, imgsz), imgsz, int(max(model.strides)))
    for placed in loader(dataset, dataset.batches(batch_size)):
        images = placed.batch.images.to(weight.device).to(weight.dtype, memory_format=torch.channels_last)
        yield placed, images / 255


def detect(
    detector: Detector, raw: Sequence[Tensor], placed: ValidationBatch, options: ValidationConfig
) -> list[Tensor]:
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


def to_image(boxes: Tensor, letterbox: Letterbox, record: ImageRecord) -> Tensor:
    """Return boxes (k, 4) on the canvas as boxes on the image, clipped to it."""
    moved = letterbox.to_image(boxes.cpu().double().numpy())
    return torch.from_numpy(moved.clip(0, [record.width, record.height] * 2)).to(boxes)


def ground_truth(record: ImageRecord) -> GroundTruth:
    """Return what there is to be found in an image."""
    return GroundTruth(torch.from_numpy(record.boxes).float(), torch.tensor(record.classes), torch.tensor(record.crowd))
