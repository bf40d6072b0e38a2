"""Find the model card of a weights file, or the bundled model that has exactly its tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attendet.models.builder import build_model
from attendet.models.bundled import bundled_names_of_width, bundled_text
from attendet.utils.shape_propagation import ShapePropagation
from attendet.weights.align.head_tensors import is_constant
from attendet.weights.formats.reader import Checkpoint
from attendet.weights.io.model_card import ModelCard, numbered_class_names, stored_card, stored_imgsz

COMPUTED_BUFFERS = ("anchor_grid",)
"""Buffers of old YOLOv5 checkpoints that the head computes from its anchors."""


def find_card(checkpoint: Checkpoint, model: str) -> ModelCard | None:
    """Return the model card of a file, or a card of the bundled model that has exactly the tensors of the file.

    Args:
        checkpoint: Content of the file.
        model: Name for the model file in a YOLO checkpoint, if it is not a bundled one.

    Returns:
        The card, or None if the file describes no model and no bundled model fits.
    """
    if "card" in checkpoint.metadata:
        return stored_card(checkpoint, model)
    names = checkpoint.names or numbered_class_names(checkpoint)
    tensors = {key: value for key, value in checkpoint.tensors.items() if not key.endswith(COMPUTED_BUFFERS)}
    bundled = _matching_bundled_model(tensors, len(names)) if names else None
    card = stored_card(checkpoint, bundled or model)
    if card is None and bundled:
        return ModelCard(bundled, bundled_text(bundled), "auto", names, stored_imgsz(checkpoint))
    return card


def _matching_bundled_model(tensors: Mapping[str, Tensor], num_classes: int) -> str | None:
    """Return the name of the bundled model that has exactly these tensors, or None."""
    first = tensors.get("model.0.conv.weight")
    # Only models of the same width are built, because building all of them takes seconds.
    candidates = () if first is None else bundled_names_of_width(len(first))
    return next((name for name in candidates if _has_tensors(name, num_classes, tensors)), None)


def _has_tensors(model: str, num_classes: int, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a bundled model has exactly these tensors."""
    with torch.device("meta"), ShapePropagation():
        state = build_model(model, num_classes).detector.state_dict()
    needed = {key for key in state if not is_constant(key)}
    return needed <= tensors.keys() <= state.keys() and all(
        state[key].shape == value.shape for key, value in tensors.items()
    )
