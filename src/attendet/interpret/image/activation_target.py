"""The target of class activation maps: a detection or class, and the layer whose features they use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import Tensor, nn

from attendet.blocks.heads.detection_head import DetectionHead
from attendet.blocks.pool import SPP, SPPF
from attendet.detection.class_names import class_index, class_name
from attendet.interpret.image.class_activation import ActivationTarget
from attendet.interpret.image.network_output import NetworkOutput, is_class_scores
from attendet.interpret.image.request import ExplanationRequest
from attendet.models.detector import Detector


def find_target(
    model: nn.Module,
    raw_output: object,
    output: NetworkOutput,
    shapes: dict[str, tuple[int, ...]],
    size: Sequence[int],
    request: ExplanationRequest,
) -> tuple[ActivationTarget | None, str]:
    """Return the target of class activation maps, or None with the reason why it is missing.

    Args:
        model: The network.
        raw_output: Its raw output for one image.
        output: The detections or class scores in the raw output.
        shapes: Shapes of all feature maps, from `record_feature_shapes`.
        size: Height and width of the network's input in pixels.
        request: The chosen class and detection.

    Raises:
        UnknownNameError: If the network has no class of the requested name.
        OptionError: If the network has no class of the requested index.
    """
    if isinstance(model, Detector) and isinstance(raw_output, tuple):
        return _detection_target(model, raw_output, output, shapes, size, request)
    layer = layer_of_class(shapes)
    if not isinstance(raw_output, Tensor) or not is_class_scores(model, raw_output) or layer is None:
        return None, "The network returns neither detections nor class scores, so only its attention is explained."
    best, wanted = int(raw_output[0].argmax()), request.class_name
    index = best if wanted is None else class_index(wanted, request.names, raw_output.shape[1])
    return ActivationTarget(f"class {class_name(index, request.names)}", layer, partial(class_score, index)), ""


def _detection_target(
    model: Detector,
    raw: Sequence[Tensor],
    output: NetworkOutput,
    shapes: dict[str, tuple[int, ...]],
    size: Sequence[int],
    request: ExplanationRequest,
) -> tuple[ActivationTarget | None, str]:
    detections = output.detections
    if detections is None or detections.class_id is None or detections.confidence is None:
        return None, ""
    wanted = request.class_name
    index = None if wanted is None else class_index(wanted, request.names, model.num_classes)
    positions = [
        position for position, class_id in enumerate(detections.class_id.tolist()) if index in (None, class_id)
    ]
    if len(positions) < request.detection:
        of_class = "" if wanted is None else f" of class {wanted}"
        threshold = f"at confidence {request.confidence:g}"
        reason = f"the image has {len(positions)} detections{of_class} {threshold}, not {request.detection}"
        return None, f"No class activation map: {reason}."
    position = positions[request.detection - 1]
    counts = [logits.shape[1] for logits in model.head.class_logits(raw)]
    level, cell = level_of_row(counts, int(detections.data["row"][position]))
    layer = layer_of_detection(model, shapes, [int(side / model.strides[level]) for side in size])
    label = f"{detections.data['class_name'][position]} {detections.confidence[position]:.2f}"
    score = partial(detection_score, model.head, level, cell, int(detections.class_id[position]))
    return ActivationTarget(label, layer, score, position + 1), ""


def layer_of_detection(detector: Detector, shapes: dict[str, tuple[int, ...]], size: Sequence[int]) -> str:
    """Return the last row of the backbone whose maps have the size of the level that detects.

    The detection head reads a single cell for a detection, so that a map of its input would show one cell only. SPP
    and SPPF are skipped, because their pooling moves features away from their positions.

    Args:
        detector: The network.
        shapes: Shapes of all feature maps, from `record_feature_shapes`.
        size: Height and width of the level's maps.
    """
    backbone = [path for path in detector.regions()["backbone"] if path in shapes]
    rows = [path for path in backbone if not isinstance(detector.get_submodule(path), SPP | SPPF)] or backbone
    same_size = [path for path in rows if shapes[path][2:] == tuple(size)]
    return (same_size or rows)[-1]


def layer_of_class(shapes: dict[str, tuple[int, ...]]) -> str | None:
    """Return the last module whose map has more than one position, or None without such a module.

    Example:
        >>> layer_of_class({"layer4": (1, 512, 7, 7), "avgpool": (1, 512, 1, 1)})
        'layer4'
    """
    return next((path for path in reversed(shapes) if np.prod(shapes[path][2:]) > 1), None)


def level_of_row(counts: Sequence[int], row: int) -> tuple[int, int]:
    """Return the level of a row of the decoded predictions, and its position among the rows of the level.

    Args:
        counts: Number of rows of each level.
        row: The row.

    Example:
        >>> level_of_row([48, 12], 50)
        (1, 2)
    """
    for level, count in enumerate(counts):
        if row < count:
            return level, row
        row -= count
    raise IndexError(row)


def detection_score(head: DetectionHead, level: int, cell: int, class_id: int, raw: Sequence[Tensor]) -> Tensor:
    """Return the logit of a detection, which increases with its confidence.

    Args:
        head: The head that returned the raw maps.
        level: Level of the detection.
        cell: Position of the detection among the rows of the level.
        class_id: Index of its class.
        raw: Raw maps of one image, one per level, without a batch axis.
    """
    return head.class_logits([maps[None] for maps in raw])[level][0, cell, class_id]


def class_score(index: int, logits: Tensor) -> Tensor:
    """Return the logit of a class from the logits (num_classes,) of one image."""
    return logits[index]
