"""Inference on the images of a split: batches, detections, and ground truth."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attendet.data.loading.canvases import CanvasRule
from attendet.data.loading.data_module import make_loader
from attendet.data.loading.datasets import ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import OnDemandImages
from attendet.data.loading.resizing import ImageSize
from attendet.data.records import ImageRecord, Split
from attendet.detection.postprocess import CanvasPlacement, DetectionThresholds
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.matching import GroundTruth
from attendet.runtimes.file_description import BakedSelection
from attendet.runtimes.selection import select_in_images


def validation_batches(
    split: Split, imgsz: ImageSize, stride: int, batch_size: int, canvas: CanvasRule = "border"
) -> Iterator[ValidationBatch]:
    """Yield the images of a split in batches, letterboxed, as uint8 (N, 3, H, W).

    Args:
        split: The images.
        imgsz: Longer side of the images in pixels, or height and width of all canvases; multiples of the stride.
        stride: Largest stride of the network in pixels.
        batch_size: Images per batch.
        canvas: How the shape of the canvas of each image is chosen.
    """
    images = OnDemandImages(split.records, imgsz)
    dataset = ValidationDataset(split.records, images, imgsz, stride, canvas)
    yield from make_loader(dataset, dataset.batches(batch_size))


def detect_in_batch(
    outputs: Tensor,
    batch: ValidationBatch,
    config: ValidationConfig,
    defaults: SuppressionDefaults,
    selection: BakedSelection | None = None,
) -> list[Tensor]:
    """Return the detections of each image of a batch.

    A box is a detection of every class whose score is high enough.

    Args:
        outputs: Decoded predictions (N, rows, 4 + num_classes) for the batch, or detections that the file has selected.
        batch: The images.
        config: Thresholds of the detections.
        defaults: Thresholds of the network, used where `config` has None.
        selection: How the file has selected detections; None if it has not.

    Returns:
        One tensor (k, 6) per image, on the CPU: x1, y1, x2, y2 in pixels of the image, confidence, class.
    """
    iou = defaults.validation_iou if config.iou is None else config.iou
    thresholds = DetectionThresholds(config.confidence, iou, config.max_detections, multi_label=True)
    placements = [
        CanvasPlacement(record.width, record.height, letterbox.scale, letterbox.left, letterbox.top)
        for record, letterbox in zip(batch.records, batch.letterboxes, strict=True)
    ]
    return select_in_images(outputs, selection, placements, thresholds, drop_empty=False)


def ground_truth(record: ImageRecord) -> GroundTruth:
    """Return the objects of an image as tensors."""
    return GroundTruth(torch.from_numpy(record.boxes).float(), torch.tensor(record.classes), torch.tensor(record.crowd))
