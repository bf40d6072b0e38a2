"""The pictures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torchvision.ops import box_convert

from attendet.data.images import read_image
from attendet.data.loading.data_module import DetectionData
from attendet.data.records import Split
from attendet.evaluation.inference import ground_truth
from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.validation import Validation
from attendet.training.plots.detection_plots import confusion_matrix, f1_curve, precision_recall_curve
from attendet.training.plots.history import training_curves
from attendet.training.plots.image_grids import training_batch_grid, prediction_grid
from attendet.training.plots.label_plots import label_statistics
from attendet.training.run_folder import RunFolder
from attendet.utils.sampling import evenly_spaced

PICTURES = ("labels", "training_batch", "results", "precision_recall", "f1", "confusion_matrix", "predictions")
"""Names of all pictures of a run, beside the film of its attention."""

SHOWN_IMAGES = 16
SHOWN_PAIRS = 8


def draw_data(folder: RunFolder, data: DetectionData, split: Split) -> None:
    """Draw what the network is shown: the labels in numbers, and the first batch."""
    size = data.loading.imgsz
    label_statistics(split.records, split.names, size, folder.picture("labels"))
    dataset = data.training_dataset()
    samples = [dataset.sample(draw) for draw in next(iter(data.batch_sampler()))[:SHOWN_IMAGES]]
    images = [image.numpy().transpose(1, 2, 0) for image, _ in samples]
    truths = []
    for image, objects in samples:
        height, width = image.shape[1:]
        boxes = box_convert(objects[:, 1:5] * torch.tensor([width, height] * 2), "cxcywh", "xyxy")
        truths.append(GroundTruth(boxes, objects[:, 0].long(), torch.zeros(len(objects), dtype=torch.bool)))
    training_batch_grid(images, truths, split.names, folder.picture("training_batch"))


def draw_results(
    folder: RunFolder, rows: Sequence[Mapping[str, float]], measured: Validation, names: tuple[str, ...]
) -> None:
    """Draw how training went, and how good the best weights are."""
    training_curves(rows, folder.picture("results"))
    draw_validation(folder, measured, names)


def draw_validation(folder: RunFolder, measured: Validation, names: tuple[str, ...]) -> None:
    """Draw how good detections are."""
    precision_recall_curve(measured.metrics, folder.picture("precision_recall"))
    f1_curve(measured.metrics, folder.picture("f1"))
    confusion_matrix(measured.metrics, folder.picture("confusion_matrix"))
    chosen = evenly_spaced(len(measured.records), SHOWN_PAIRS)
    records = [measured.records[index] for index in chosen]
    detections = [measured.detections[index] for index in chosen]
    prediction_grid(
        [read_image(record.image) for record in records],
        detections,
        [ground_truth(record) for record in records],
        names,
        folder.picture("predictions"),
    )
