from .detection_plots import draw_confusion_matrix as draw_confusion_matrix
from .detection_plots import f1_curve as f1_curve
from .detection_plots import precision_recall_curve as precision_recall_curve
from .filmstrip import AttentionSnapshot as AttentionSnapshot
from .filmstrip import attention_filmstrip as attention_filmstrip
from .history import training_curves as training_curves
from .image_grids import prediction_grid as prediction_grid
from .image_grids import training_batch_grid as training_batch_grid
from .label_plots import label_statistics as label_statistics

__all__ = [
    "AttentionSnapshot",
    "attention_filmstrip",
    "draw_confusion_matrix",
    "f1_curve",
    "label_statistics",
    "precision_recall_curve",
    "prediction_grid",
    "training_batch_grid",
    "training_curves",
]
