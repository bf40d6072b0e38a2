"""Non-maximum suppression as one operator of torch, so that networks that contain it can be exported.

`nms` branches on numbers of boxes, which an exporter cannot record. The operator `attendet::select_detections` has an
output of fixed shape and stays one node of an exported program; each format translates it. It is registered when this
module is imported.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from attendet.detection.suppression import check_thresholds, nms

DETECTION_COLUMNS = 6
"""Values of a detection: x1, y1, x2, y2, confidence, class."""


def select_detections(
    predictions: Tensor,
    *,
    confidence: float = 0.25,
    iou: float = 0.45,
    max_detections: int = 300,
    agnostic: bool = False,
) -> Tensor:
    """Select the detections of each image as `nms` does, in a tensor whose shape does not depend on their number.

    Args:
        predictions: Decoded predictions (N, rows, 4 + num_classes) in float32, see `nms`.
        confidence: Detections with a smaller confidence are dropped, 0-1.
        iou: A box that overlaps a more confident box of its class by more than this IoU is dropped, 0-1.
        max_detections: Number of detections per image.
        agnostic: Whether boxes of different classes suppress each other.

    Returns:
        (N, max_detections, 6): x1, y1, x2, y2 in pixels, confidence in 0-1, and class; the most confident first. The
        rows after the last detection are 0.

    Raises:
        OptionError: If `confidence` or `iou` is outside 0-1, or `max_detections` is below 1.

    Example:
        >>> boxes = torch.tensor([[[8.0, 8.0, 4.0, 4.0, 0.5, 0.9], [8.5, 8.0, 4.0, 4.0, 0.1, 0.8]]])
        >>> select_detections(boxes, max_detections=2)[0]
        tensor([[ 6.0000,  6.0000, 10.0000, 10.0000,  0.9000,  1.0000],
                [ 0.0000,  0.0000,  0.0000,  0.0000,  0.0000,  0.0000]])
    """
    check_thresholds(confidence, iou, max_detections)
    return torch.ops.attendet.select_detections(predictions, confidence, iou, max_detections, agnostic)


def _select(predictions: Tensor, confidence: float, iou: float, max_detections: int, agnostic: bool) -> Tensor:
    selected = nms(predictions, confidence=confidence, iou=iou, max_detections=max_detections, agnostic=agnostic)
    rows = [pad(each, (0, 0, 0, max_detections - len(each))) for each in selected]
    return torch.stack(rows) if rows else _fake_select(predictions, confidence, iou, max_detections, agnostic)


def _fake_select(predictions: Tensor, _: float, __: float, max_detections: int, ___: bool) -> Tensor:
    return predictions.new_zeros((predictions.shape[0], max_detections, DETECTION_COLUMNS), dtype=torch.float32)


_LIBRARY = torch.library.Library("attendet", "FRAGMENT")
_LIBRARY.define(
    "select_detections(Tensor predictions, float confidence, float iou, SymInt max_detections, bool agnostic) -> Tensor"
)
_LIBRARY.impl("select_detections", _select, "CompositeExplicitAutograd")
torch.library.register_fake("attendet::select_detections", _fake_select, lib=_LIBRARY)
