"""Detections in images from the output of a runtime, whether or not its file selects detections itself."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor

from attendet.detection.postprocess import (
    CanvasPlacement,
    DetectionThresholds,
    detections_in_images,
    has_area,
    to_image_pixels,
)
from attendet.errors import OptionError
from attendet.runtimes.file_description import BakedSelection
from attendet.runtimes.protocol import Runtime


def choose_thresholds(
    runtime: Runtime,
    defaults: DetectionThresholds,
    *,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    agnostic: bool | None = None,
) -> DetectionThresholds:
    """Return the thresholds under which detections are selected.

    Args:
        runtime: The network.
        defaults: Values of options that are None, for a network whose file does not select detections itself.
        confidence: Smallest score of a detection, 0-1.
        iou: IoU threshold of non-maximum suppression, 0-1.
        max_detections: Largest number of detections per image.
        agnostic: Whether boxes of different classes suppress each other.

    Raises:
        OptionError: If an option is invalid, or the file has dropped detections that the option asks for.
    """
    baked = runtime.description.selection
    if baked is None:
        return DetectionThresholds(
            defaults.confidence if confidence is None else float(confidence),
            defaults.iou if iou is None else float(iou),
            defaults.max_detections if max_detections is None else max_detections,
            defaults.multi_label,
            defaults.agnostic if agnostic is None else agnostic,
        )
    _require_baked("iou", iou, baked.iou)
    _require_baked("agnostic", agnostic, baked.agnostic)
    chosen = DetectionThresholds(
        baked.confidence if confidence is None else float(confidence),
        baked.iou,
        baked.max_detections if max_detections is None else max_detections,
        agnostic=baked.agnostic,
    )
    if chosen.confidence < baked.confidence:
        raise _fixed_in_file(f"`confidence` must be at least {baked.confidence:g}", chosen.confidence)
    if chosen.max_detections > baked.max_detections:
        raise _fixed_in_file(f"`max_detections` must be at most {baked.max_detections}", chosen.max_detections)
    return chosen


def select_in_images(
    outputs: Float[Tensor, "n rows outputs"],
    selection: BakedSelection | None,
    placements: Sequence[CanvasPlacement],
    thresholds: DetectionThresholds,
    *,
    classes: Bool[Tensor, " num_classes"] | None = None,
    drop_empty: bool = True,
) -> list[Float[Tensor, "detections 6"]]:
    """Return the detections of each image, in pixels of the image, on the CPU.

    Args:
        outputs: Output of `Runtime.predict`: predictions, or detections that the file has selected.
        selection: How the file has selected detections; None if it has not.
        placements: Size and position of each of the N images on the canvas.
        thresholds: Thresholds that `choose_thresholds` returned.
        classes: Filter of classes (num_classes,), True for a class that is kept (default: all classes). If the file
            selects detections, boxes of other classes have already suppressed boxes in an agnostic selection.
        drop_empty: Whether detections in the padding are dropped; otherwise their boxes have no area.

    Returns:
        One tensor (detections, 6) per image: x1, y1, x2, y2 in pixels of the image, confidence, class; the most
        confident first.
    """
    if selection is None:
        return detections_in_images(outputs, placements, thresholds, classes=classes, drop_empty=drop_empty)
    detections = []
    for rows, placement in zip(outputs.cpu(), placements, strict=True):
        kept = rows[rows[:, 4] > thresholds.confidence]
        if classes is not None:
            kept = kept[classes.cpu()[kept[:, 5].long()]]
        in_image = to_image_pixels(kept[: thresholds.max_detections], placement)
        detections.append(in_image[has_area(in_image)] if drop_empty else in_image)
    return detections


def _require_baked(name: str, value: float | None, baked: float) -> None:
    if value is not None and value != baked:
        raise _fixed_in_file(f"`{name}` must be {baked}", value)


def _fixed_in_file(rule: str, value: float) -> OptionError:
    message = f"{rule} for a file that selects detections itself, got {value}"
    return OptionError(message, remedy="export the weights without `nms` to choose it freely")
