from .coco_precision import CocoPrecision as CocoPrecision
from .coco_precision import compute_coco_precision as compute_coco_precision
from .config import ValidationConfig as ValidationConfig
from .confusion import confusion_matrix as confusion_matrix
from .matching import GroundTruth as GroundTruth
from .matching import ImageResult as ImageResult
from .matching import match_at_thresholds as match_at_thresholds
from .matching import match_detections as match_detections
from .metrics import ClassMetrics as ClassMetrics
from .metrics import Curves as Curves
from .metrics import Evaluation as Evaluation
from .metrics import Metrics as Metrics
from .validation import SecondsPerImage as SecondsPerImage
from .validation import Validation as Validation
from .validation import coco_detections as coco_detections
from .validation import read_split_for_classes as read_split_for_classes
from .validation import validate as validate

__all__ = [
    "ClassMetrics",
    "CocoPrecision",
    "Curves",
    "Evaluation",
    "GroundTruth",
    "ImageResult",
    "Metrics",
    "SecondsPerImage",
    "Validation",
    "ValidationConfig",
    "coco_detections",
    "compute_coco_precision",
    "confusion_matrix",
    "match_at_thresholds",
    "match_detections",
    "read_split_for_classes",
    "validate",
]
