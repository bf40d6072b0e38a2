"""Draw all plots of a run."""

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
from attendet.training.plots.detection_plots import draw_confusion_matrix, f1_curve, precision_recall_curve
from attendet.training.plots.history import training_curves
from attendet.training.plots.image_grids import prediction_grid, training_batch_grid
from attendet.training.plots.label_plots import label_statistics
from attendet.training.run_folder import RunFolder
from attendet.utils.sampling import evenly_spaced

PICTURES = ("labels", "training_batch", "results", "precision_recall", "f1", "confusion_matrix", "predictions")
"""Names of all plots of a run except the filmstrip of its attention."""

_MAX_IMAGES = 16
_MAX_PAIRS = 8


def draw_data(folder: RunFolder, data: DetectionData, split: Split) -> None:
    """Draw statistics of the labels, and the first training batch.

    Args:
        folder: The folder of the run.
        data: The data module, which augments the images.
        split: The training images.
    """
    label_statistics(split.records, split.names, data.loading.imgsz, folder.picture("labels"))
    dataset = data.training_dataset()
    samples = [dataset.sample(draw) for draw in next(iter(data.batch_sampler()))[:_MAX_IMAGES]]
    images = [image.numpy().transpose(1, 2, 0) for image, _ in samples]
    truths = []
    for image, objects in samples:
        height, width = image.shape[1:]
        boxes = box_convert(objects[:, 1:5] * torch.tensor([width, height] * 2), "cxcywh", "xyxy")
        truths.append(GroundTruth(boxes, objects[:, 0].long(), torch.zeros(len(objects), dtype=torch.bool)))
    training_batch_grid(images, truths, split.names, folder.picture("training_batch"))


def draw_results(
    folder: RunFolder, rows: Sequence[Mapping[str, float]], validation: Validation, names: tuple[str, ...]
) -> None:
    """Draw the curves of the training, and the metrics of the best weights.

    Args:
        folder: The folder of the run.
        rows: The rows of `results.csv`.
        validation: Result of validating the best weights.
        names: Class names in the order of their indices.
    """
    training_curves(rows, folder.picture("results"))
    draw_validation(folder, validation, names)


def draw_validation(folder: RunFolder, validation: Validation, names: tuple[str, ...]) -> None:
    """Draw the metrics of a validation, and some of its images with their detections."""
    precision_recall_curve(validation.metrics, folder.picture("precision_recall"))
    f1_curve(validation.metrics, folder.picture("f1"))
    draw_confusion_matrix(validation.metrics, folder.picture("confusion_matrix"))
    selected = evenly_spaced(len(validation.records), _MAX_PAIRS)
    records = [validation.records[index] for index in selected]
    detections = [validation.detections[index] for index in selected]
    prediction_grid(
        [read_image(record.image, record.bit_depth) for record in records],
        detections,
        [ground_truth(record) for record in records],
        names,
        folder.picture("predictions"),
    )
