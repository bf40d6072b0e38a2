"""The operator `attendet::select_detections` in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attendet.detection.selection_operator import DETECTION_COLUMNS
from attendet.runtimes.extras import require


def onnx_translation(opset: int) -> Callable[..., Any]:
    """Return the function that writes `attendet::select_detections` with operators of ONNX.

    Non-maximum suppression is that of ONNX. Its result is a list of boxes of all images; their scores are written to a
    zero for each row, and the largest scores of each image are taken. So the output has a fixed number of rows.

    Args:
        opset: Version of the ONNX operators.
    """
    op: Any = getattr(require("onnxscript", "export", "write ONNX files"), f"opset{opset}")

    def constant(values: Any) -> Any:
        return op.Constant(value_ints=values) if isinstance(values, list) else op.Constant(value_int=values)

    def translate(
        predictions: Any,
        confidence: float,
        iou: float,
        max_detections: int,
        agnostic: bool,
    ) -> Any:
        centers = op.Slice(predictions, constant([0]), constant([2]), constant([2]))
        halves = op.Div(
            op.Slice(predictions, constant([2]), constant([4]), constant([2])), op.Constant(value_float=2.0)
        )
        boxes = op.Concat(op.Sub(centers, halves), op.Add(centers, halves), axis=2)
        confidences = op.Slice(predictions, constant([4]), constant([2**31 - 1]), constant([2]))
        best = op.ReduceMax(confidences, constant([2]), keepdims=1)
        classes = op.ArgMax(confidences, axis=2, keepdims=1)
        if agnostic:
            scores = best
        else:
            indices = op.Range(
                constant(0), op.Squeeze(op.Shape(confidences, start=2, end=3), constant([0])), constant(1)
            )
            is_best = op.Equal(classes, op.Reshape(indices, constant([1, 1, -1])))
            scores = op.Where(is_best, best, op.Constant(value_float=0.0))
        selected = op.NonMaxSuppression(
            boxes,
            op.Transpose(scores, perm=[0, 2, 1]),
            constant([2**31 - 1]),
            op.Constant(value_floats=[iou]),
            op.Constant(value_floats=[confidence]),
        )
        # (selected, 2): image and row.
        places = op.Gather(selected, constant([0, 2]), axis=1)
        scores = op.Squeeze(best, constant([2]))
        kept = op.ScatterND(op.Mul(scores, op.Constant(value_float=0.0)), places, op.GatherND(scores, places))
        # An image can have fewer rows than detections are returned.
        padding = constant([0, 0, 0, max_detections])
        kept_confidences, rows = op.TopK(op.Pad(kept, padding), constant([max_detections]), axis=1)
        detections = op.Concat(boxes, op.Unsqueeze(scores, constant([2])), op.Cast(classes, to=1), axis=2)
        detections = op.Pad(detections, constant([0, 0, 0, 0, max_detections, 0]))
        shape = op.Concat(op.Shape(rows), constant([DETECTION_COLUMNS]), axis=0)
        chosen = op.GatherElements(detections, op.Expand(op.Unsqueeze(rows, constant([2])), shape), axis=1)
        is_detection = op.Unsqueeze(op.Greater(kept_confidences, op.Constant(value_float=0.0)), constant([2]))
        return op.Where(is_detection, chosen, op.Constant(value_float=0.0))

    return translate
