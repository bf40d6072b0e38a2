"""The output of a network for an image: detections, or class scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from supervision import Detections, box_iou_batch
from torch import Tensor, nn

from attendet.detection.class_names import class_name
from attendet.detection.postprocess import detect_on_canvas, has_area, to_image_pixels
from attendet.interpret.image.input_image import InputImage
from attendet.interpret.image.request import ExplanationRequest
from attendet.models.detector import Detector
from attendet.utils.text import plural

MAX_CLASSES = 5
"""Number of classes that are kept of a classifier's scores."""

_SAME_OBJECT_IOU = 0.5


class ClassScore(NamedTuple):
    """A class of a classifier, and its probability.

    Attributes:
        class_id: Index of the class; several classes may have the same name.
        name: Name of the class.
        probability: Softmax of the class, 0-1.
    """

    class_id: int
    name: str
    probability: float


@dataclass(frozen=True)
class NetworkOutput:
    """The output of a network for an image.

    Attributes:
        detections: Detections of a detector, boxes in pixels of the image, the most confident first. `data` has
            `class_name`, and `row`: the row of the decoded predictions that each detection comes from. None for other
            networks.
        classes: The five most probable classes of a classifier, in descending order; empty for other networks.
        num_classes: Number of classes of the network; 0 if it is neither a detector nor a classifier.
    """

    detections: Detections | None = None
    classes: tuple[ClassScore, ...] = ()
    num_classes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the detections or classes as plain values, ready for JSON."""
        if self.detections is None:
            return {"classes": [{"class": each.name, "probability": each.probability} for each in self.classes]}
        confidences = (
            np.ones(len(self.detections)) if self.detections.confidence is None else self.detections.confidence
        )
        rows = zip(
            map(str, self.detections.data["class_name"]),
            confidences.tolist(),
            self.detections.xyxy.tolist(),
            strict=True,
        )
        return {"detections": [{"class": name, "confidence": score, "xyxy": box} for name, score, box in rows]}

    def __repr__(self) -> str:
        """Show the number of detections, or the best class."""
        if self.detections is not None:
            return f"NetworkOutput({plural(len(self.detections), 'detection')})"
        best = f"{self.classes[0].name!r} {self.classes[0].probability:.2f}" if self.classes else ""
        return f"NetworkOutput({best})"


def read_output(model: nn.Module, output: object, image: InputImage, request: ExplanationRequest) -> NetworkOutput:
    """Return the detections or class scores in the raw output of a network for one image.

    Args:
        model: The network.
        output: Its raw output: raw maps of a detector, logits (1, num_classes) of a classifier, or anything else.
        image: The image.
        request: Thresholds and class names.
    """
    if isinstance(model, Detector) and isinstance(output, tuple):
        return _detections(model, output, image, request)
    if isinstance(output, Tensor) and is_class_scores(model, output):
        return best_classes(output, request.names)
    return NetworkOutput()


def is_class_scores(model: nn.Module, output: object) -> bool:
    """Return whether an output has the form of a classifier's, (N, num_classes)."""
    return not isinstance(model, Detector) and isinstance(output, Tensor) and output.ndim == 2 and output.shape[1] > 1


def best_classes(logits: Tensor, names: Sequence[str]) -> NetworkOutput:
    """Return the five most probable classes of the first image.

    Args:
        logits: (N, num_classes).
        names: Class names, in the order of their indices.

    Example:
        >>> best_classes(torch.tensor([[0.0, 1.0]]), ["cat", "dog"])
        NetworkOutput('dog' 0.73)
    """
    probabilities, order = logits[0].detach().float().softmax(0).sort(descending=True, stable=True)
    best = zip(order.tolist()[:MAX_CLASSES], probabilities.tolist()[:MAX_CLASSES], strict=True)
    classes = tuple(ClassScore(index, class_name(index, names), probability) for index, probability in best)
    return NetworkOutput(classes=classes, num_classes=logits.shape[1])


def has_counterpart(detections: Detections, others: Detections) -> NDArray[np.bool_]:
    """Return (n,) bool: whether each detection overlaps another detection of its class with an IoU of at least 0.5.

    Example:
        >>> first = Detections(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]), class_id=np.array([0, 0]))
        >>> second = Detections(np.array([[1.0, 0, 10, 10]]), class_id=np.array([0]))
        >>> has_counterpart(first, second).tolist()
        [True, False]
    """
    if not len(detections) or not len(others) or detections.class_id is None or others.class_id is None:
        return np.zeros(len(detections), bool)
    is_same_class = detections.class_id[:, None] == others.class_id[None]
    is_near = box_iou_batch(detections.xyxy, others.xyxy) >= _SAME_OBJECT_IOU
    return (is_near & is_same_class).any(axis=1)


def _detections(
    detector: Detector, raw: Sequence[Tensor], image: InputImage, request: ExplanationRequest
) -> NetworkOutput:
    decoded = detector.decode([level[:1] for level in raw])
    (on_canvas,) = detect_on_canvas(decoded, request.thresholds(detector.head.suppression))
    rows = np.array([_row_of(decoded[0], detection) for detection in on_canvas], np.int64)
    in_image = to_image_pixels(on_canvas, image.placement)
    is_kept = has_area(in_image).numpy()
    values = in_image.numpy()[is_kept]
    class_ids = values[:, 5].astype(np.int64)
    names = np.array([class_name(index, request.names) for index in class_ids.tolist()], np.str_)
    detections = Detections(
        xyxy=values[:, :4],
        confidence=values[:, 4],
        class_id=class_ids,
        data={"class_name": names, "row": rows[is_kept]},
    )
    return NetworkOutput(detections=detections, num_classes=detector.num_classes)


def _row_of(decoded: Tensor, detection: Tensor) -> int:
    """Return the row of the decoded predictions (rows, 4 + num_classes) that has a detection's box and confidence."""
    center, sides = (detection[:2] + detection[2:4]) / 2, detection[2:4] - detection[:2]
    confidence = decoded[:, 4 + int(detection[5])]
    distance = (decoded[:, :4] - torch.cat([center, sides])).abs().sum(1) + (confidence - detection[4]).abs()
    return int(distance.argmin())
