"""Conversion of decoded predictions to detections in pixels of the original images: NMS, scaling, and clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attendet.detection.suppression import check_thresholds, nms
from attendet.detection.suppression_defaults import SuppressionDefaults


@dataclass(frozen=True)
class DetectionThresholds:
    """The options of non-maximum suppression.

    Attributes:
        confidence: Detections with a smaller confidence are dropped, 0-1.
        iou: A box that overlaps a more confident box of its class by more than this IoU is dropped, 0-1.
        max_detections: Largest number of detections per image.
        multi_label: Whether a box is a detection of every class whose score is high enough, instead of the best only.
        agnostic: Whether boxes of different classes suppress each other.

    Raises:
        OptionError: If a threshold is outside 0-1, or `max_detections` is below 1.

    Example:
        >>> DetectionThresholds(iou=1.5)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `iou` must be a number from 0 to 1, got 1.5
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 1000
    multi_label: bool = False
    agnostic: bool = False

    def __post_init__(self) -> None:
        check_thresholds(self.confidence, self.iou, self.max_detections)

    @classmethod
    def for_prediction(cls, defaults: SuppressionDefaults) -> DetectionThresholds:
        """Return the thresholds of prediction that were published with a family of detectors."""
        return cls(iou=defaults.prediction_iou, max_detections=defaults.max_detections)


@dataclass(frozen=True)
class CanvasPlacement:
    """The size of an image, and its position on the canvas that the network was given.

    Attributes:
        width: Width of the image in its own pixels.
        height: Height of the image in its own pixels.
        scale: Canvas pixels per image pixel, (x, y).
        left: Canvas pixels to the left of the image.
        top: Canvas pixels above the image.
    """

    width: int
    height: int
    scale: tuple[float, float]
    left: int
    top: int


def detect_on_canvas(
    predictions: Float[Tensor, "n rows outputs"],
    thresholds: DetectionThresholds,
    *,
    classes: Bool[Tensor, " num_classes"] | None = None,
) -> list[Float[Tensor, "detections 6"]]:
    """Select the detections of each image by non-maximum suppression, in pixels of the canvas.

    Args:
        predictions: Decoded predictions (N, rows, 4 + num_classes): x, y of the center, width, and height in pixels,
            and the confidence of each class in 0-1.
        thresholds: Options of non-maximum suppression.
        classes: Filter of classes (num_classes,), True for a class that is kept (default: all classes). A box whose
            best class is not kept does not suppress other boxes.

    Returns:
        One tensor (detections, 6) per image: x1, y1, x2, y2, confidence, class; the most confident first.
    """
    if classes is not None:
        is_kept = classes[predictions[..., 4:].argmax(dim=-1)]
        predictions = torch.where(is_kept[..., None], predictions, torch.zeros_like(predictions))
    return nms(predictions, **asdict(thresholds))


def to_image_pixels(
    detections: Float[Tensor, "detections 6"], placement: CanvasPlacement
) -> Float[Tensor, "detections 6"]:
    """Return detections (n, 6) with their boxes scaled from the canvas to the image and clipped to it, on the CPU.

    Example:
        >>> placement = CanvasPlacement(width=64, height=32, scale=(0.5, 0.5), left=0, top=8)
        >>> to_image_pixels(torch.tensor([[-1.0, 10.0, 20.0, 24.0, 0.9, 1.0]]), placement)
        tensor([[ 0.0000,  4.0000, 40.0000, 32.0000,  0.9000,  1.0000]])
    """
    rows = detections.cpu()
    # float64 keeps boxes exact to a fraction of a pixel in images with sides of many thousand pixels.
    offset = torch.tensor([placement.left, placement.top] * 2, dtype=torch.float64)
    scale = torch.tensor(placement.scale * 2, dtype=torch.float64)
    limit = torch.tensor([placement.width, placement.height] * 2, dtype=torch.float64)
    boxes = ((rows[:, :4].double() - offset) / scale).clamp(min=0).minimum(limit)
    return torch.cat([boxes.to(rows.dtype), rows[:, 4:]], dim=1)


def has_area(detections: Float[Tensor, "detections 6"]) -> Bool[Tensor, " detections"]:
    """Return whether the boxes of detections (n, 6) have an area, (n,) bool.

    A box in the padding of the canvas has no area after it is clipped to the image.
    """
    return (detections[:, 2] > detections[:, 0]) & (detections[:, 3] > detections[:, 1])


def detections_in_images(
    predictions: Float[Tensor, "n rows outputs"],
    placements: Sequence[CanvasPlacement],
    thresholds: DetectionThresholds,
    *,
    classes: Bool[Tensor, " num_classes"] | None = None,
    drop_empty: bool = True,
) -> list[Float[Tensor, "detections 6"]]:
    """Select the detections of each image and return them in pixels of the images, on the CPU.

    Args:
        predictions: Decoded predictions (N, rows, 4 + num_classes): x, y of the center, width, and height in pixels,
            and the confidence of each class in 0-1.
        placements: Size and position of each of the N images on the canvas.
        thresholds: Options of non-maximum suppression.
        classes: Filter of classes (num_classes,), True for a class that is kept (default: all classes).
        drop_empty: Whether detections in the padding are dropped; otherwise their boxes have no area.

    Returns:
        One tensor (detections, 6) per image: x1, y1, x2, y2 in pixels of the image, confidence, class; the most
        confident first.

    Example:
        >>> box = torch.tensor([[[8.0, 8.0, 4.0, 4.0, 0.9]]])
        >>> placement = CanvasPlacement(width=32, height=16, scale=(0.5, 0.5), left=0, top=4)
        >>> detections_in_images(box, [placement], DetectionThresholds())
        [tensor([[12.0000,  4.0000, 20.0000, 12.0000,  0.9000,  0.0000]])]
    """
    in_images = [
        to_image_pixels(detections, placement)
        for detections, placement in zip(
            detect_on_canvas(predictions, thresholds, classes=classes), placements, strict=True
        )
    ]
    return [detections[has_area(detections)] for detections in in_images] if drop_empty else in_images
