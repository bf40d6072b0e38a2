"""Inference on the images of a split: batches, detections, and ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attendet.data.loading.canvases import CanvasRule
from attendet.data.loading.data_module import make_loader
from attendet.data.loading.datasets import ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import OnDemandImages
from attendet.data.records import ImageRecord, Split
from attendet.detection.postprocess import CanvasPlacement, DetectionThresholds, detections_in_images
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.matching import GroundTruth
from attendet.models.detector import Detector


def validation_batches(
    model: Detector, split: Split, imgsz: int, batch_size: int, canvas: CanvasRule = "border"
) -> Iterator[tuple[ValidationBatch, Tensor]]:
    """Yield the images of a split in batches, each with the tensor that the network takes.

    Args:
        model: The network; the tensors have the device and the type of its weights.
        split: The images.
        imgsz: Longer side of the images in pixels; a multiple of the largest stride.
        batch_size: Images per batch.
        canvas: How the shape of the canvas of each image is chosen.

    Yields:
        The records and letterboxes of a batch, and its images (N, 3, H, W) in 0-1.
    """
    weight = next(model.parameters())
    images = OnDemandImages(split.records, imgsz)
    dataset = ValidationDataset(split.records, images, imgsz, int(max(model.strides)), canvas)
    for batch in make_loader(dataset, dataset.batches(batch_size)):
        pixels = batch.batch.images.to(weight.device).to(weight.dtype, memory_format=torch.channels_last)
        yield batch, pixels / 255


def detect_in_batch(
    detector: Detector, raw: Sequence[Tensor], batch: ValidationBatch, config: ValidationConfig
) -> list[Tensor]:
    """Return the detections of each image of a batch.

    As in YOLOv5's validation, a box is a detection of every class whose score is high enough.

    Args:
        detector: The network.
        raw: Its raw maps for the batch.
        batch: The images.
        config: Thresholds of the detections.

    Returns:
        One tensor (k, 6) per image, on the CPU: x1, y1, x2, y2 in pixels of the image, confidence, class.
    """
    thresholds = DetectionThresholds(config.confidence, config.iou, config.max_detections, multi_label=True)
    placements = [
        CanvasPlacement(record.width, record.height, letterbox.scale, letterbox.left, letterbox.top)
        for record, letterbox in zip(batch.records, batch.letterboxes, strict=True)
    ]
    return detections_in_images(detector.decode(raw), placements, thresholds, drop_empty=False)


def ground_truth(record: ImageRecord) -> GroundTruth:
    """Return the objects of an image as tensors."""
    return GroundTruth(torch.from_numpy(record.boxes).float(), torch.tensor(record.classes), torch.tensor(record.crowd))
