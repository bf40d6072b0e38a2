from .anchor_decoding import class_confidences as class_confidences
from .anchor_decoding import decode_anchors as decode_anchors
from .anchor_loss import AnchorLossWeights as AnchorLossWeights
from .anchor_loss import anchor_based_loss as anchor_based_loss
from .anchor_matching import AnchorMatches as AnchorMatches
from .anchor_matching import assign_anchors as assign_anchors
from .anchors import AnchorFitting as AnchorFitting
from .anchors import adapt_anchors as adapt_anchors
from .anchors import best_possible_recall as best_possible_recall
from .anchors import fit_anchors as fit_anchors
from .class_names import class_index as class_index
from .class_names import class_name as class_name
from .loss_value import BatchProcesses as BatchProcesses
from .loss_value import DetectionLoss as DetectionLoss
from .map_decoding import AnchorMapDecoding as AnchorMapDecoding
from .map_decoding import PointMapDecoding as PointMapDecoding
from .point_decoding import decode_points as decode_points
from .point_loss import PointLossWeights as PointLossWeights
from .point_loss import anchor_free_loss as anchor_free_loss
from .point_matching import PointMatches as PointMatches
from .point_matching import assign_points as assign_points
from .points import cell_centers as cell_centers
from .postprocess import CanvasPlacement as CanvasPlacement
from .postprocess import DetectionThresholds as DetectionThresholds
from .postprocess import detect_on_canvas as detect_on_canvas
from .postprocess import detections_in_images as detections_in_images
from .postprocess import has_area as has_area
from .postprocess import to_image_pixels as to_image_pixels
from .suppression import nms as nms
from .suppression_defaults import SuppressionDefaults as SuppressionDefaults

__all__ = [
    "AnchorFitting",
    "AnchorLossWeights",
    "AnchorMapDecoding",
    "AnchorMatches",
    "BatchProcesses",
    "CanvasPlacement",
    "DetectionLoss",
    "DetectionThresholds",
    "PointLossWeights",
    "PointMapDecoding",
    "PointMatches",
    "SuppressionDefaults",
    "anchor_based_loss",
    "anchor_free_loss",
    "assign_anchors",
    "assign_points",
    "best_possible_recall",
    "cell_centers",
    "class_confidences",
    "class_index",
    "class_name",
    "decode_anchors",
    "decode_points",
    "detect_on_canvas",
    "detections_in_images",
    "fit_anchors",
    "has_area",
    "nms",
    "to_image_pixels",
]
