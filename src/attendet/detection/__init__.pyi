from .anchors import best_possible_recall as best_possible_recall
from .anchors import fit_anchors as fit_anchors
from .assignment import AnchorMatches as AnchorMatches
from .assignment import assign as assign
from .class_names import class_index as class_index
from .class_names import class_name as class_name
from .decoding import decode as decode
from .loss import DetectionLoss as DetectionLoss
from .loss import LossWeights as LossWeights
from .loss import detection_loss as detection_loss
from .postprocess import CanvasPlacement as CanvasPlacement
from .postprocess import DetectionThresholds as DetectionThresholds
from .postprocess import detect_on_canvas as detect_on_canvas
from .postprocess import detections_in_images as detections_in_images
from .postprocess import has_area as has_area
from .postprocess import to_image_pixels as to_image_pixels
from .suppression import nms as nms

__all__ = [
    "AnchorMatches",
    "CanvasPlacement",
    "DetectionLoss",
    "DetectionThresholds",
    "LossWeights",
    "assign",
    "best_possible_recall",
    "class_index",
    "class_name",
    "decode",
    "detect_on_canvas",
    "detection_loss",
    "detections_in_images",
    "fit_anchors",
    "has_area",
    "nms",
    "to_image_pixels",
]
