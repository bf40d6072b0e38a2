"""The pictures of a training run."""

from attendet.engine.pictures.detection import confusion_matrix, f1_curve, precision_recall
from attendet.engine.pictures.images import batch_mosaic, predictions_beside_truth
from attendet.engine.pictures.labels import label_statistics
from attendet.engine.pictures.training import training_curves

__all__ = [
    "batch_mosaic",
    "confusion_matrix",
    "f1_curve",
    "label_statistics",
    "precision_recall",
    "predictions_beside_truth",
    "training_curves",
]
