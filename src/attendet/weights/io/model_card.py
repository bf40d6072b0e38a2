"""Metadata in a weights file: the model that it belongs to, and the attention that is attached to the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttentionPlan
from attendet.utils.json_text import to_json
from attendet.utils.limits import MAX_CLASSES, MAX_IMGSZ
from attendet.weights.align.head_tensors import HEAD_KEY, read_head
from attendet.weights.formats.reader import Checkpoint

_DEFAULT_IMGSZ = 640
_MAX_PLANS = 100
# Parsed JSON takes many times its length in memory.
_MAX_JSON_LENGTH = 2**22


@dataclass(frozen=True)
class ModelCard:
    """The description of a detector that its weights file contains, so that the file alone is enough to build it.

    Attributes:
        model: Name of the model file.
        text: Content of the model file (YAML).
        dialect: Dialect in which the attention rows of the model file are read; "auto" detects it.
        names: Class names in the order of their indices.
        imgsz: Side of the training images in pixels.
        bit_depth: Number of bits (8 to 16) of the values in training images with 16 bits per channel; None if it is
            unknown.

    Example:
        >>> from attendet.models.bundled import bundled_text
        >>> ModelCard("yolov5n", bundled_text("yolov5n"), "auto", ("cat", "dog"), 640).names
        ('cat', 'dog')
    """

    model: str
    text: str
    dialect: str
    names: tuple[str, ...]
    imgsz: int
    bit_depth: int | None = None


def card_metadata(card: ModelCard) -> dict[str, str]:
    """Return the safetensors metadata that stores a model card."""
    return {"card": to_json(asdict(card), indent=None)}


def attention_metadata(plans: tuple[AttentionPlan, ...]) -> dict[str, str]:
    """Return the safetensors metadata that stores the attached attention."""
    return {"attention": to_json([plan.to_dict() for plan in plans], indent=None)} if plans else {}


def stored_card(checkpoint: Checkpoint, model: str) -> ModelCard | None:
    """Return the model card of a file that attendet wrote, or a card from the entries of a YOLO checkpoint.

    Args:
        checkpoint: Content of the file.
        model: Name for the model file of a YOLO checkpoint.

    Returns:
        The card, or None if the file describes no model.
    """
    if "card" in checkpoint.metadata:
        return _parse_card(checkpoint.metadata["card"])
    if checkpoint.model_file is None:
        return None
    names = checkpoint.names or numbered_class_names(checkpoint)
    return ModelCard(model, checkpoint.model_file, "auto", names, stored_imgsz(checkpoint)) if names else None


def stored_attention(checkpoint: Checkpoint) -> tuple[AttentionPlan, ...]:
    """Return the attention that was attached to the network whose weights a file holds.

    Raises:
        OptionError: If the description of the attention is damaged.
    """
    try:
        values = _parse_json(checkpoint.metadata.get("attention", "[]"))
    except (ValueError, RecursionError) as error:
        raise OptionError("the description of attached attention is damaged") from error
    if not isinstance(values, list) or len(values) > _MAX_PLANS:
        raise OptionError(f"the description of attached attention must be a list of at most {_MAX_PLANS} plans")
    return tuple(AttentionPlan.from_dict(value) for value in values)


def numbered_class_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the class indices of a detection head as names; empty if the file has no head.

    Example:
        >>> import torch
        >>> row = {"anchors": torch.zeros(1, 3, 2), "m.0.weight": torch.zeros(21, 8, 1, 1), "m.0.bias": torch.zeros(21)}
        >>> head = {f"model.24.{key}": value for key, value in row.items()}
        >>> numbered_class_names(Checkpoint(head, "state dict", None, None, {}, {}))
        ('0', '1')
    """
    rows: dict[str, dict[str, Tensor]] = {}
    for key, tensor in checkpoint.tensors.items():
        parts = HEAD_KEY.fullmatch(key)
        if parts:
            rows.setdefault(parts[1], {})[parts[2]] = tensor
    heads = filter(None, map(read_head, rows.values()))
    return next((tuple(map(str, range(head.num_classes))) for head in heads if head.num_classes <= MAX_CLASSES), ())


def stored_imgsz(checkpoint: Checkpoint) -> int:
    """Return the side of the training images in pixels that a YOLO checkpoint states, or else 640."""
    # The settings of the training, as YOLOv5 and as YOLOv8 store them.
    settings = (checkpoint.training.get(key) for key in ("opt", "train_args"))
    imgsz: Any = next((options["imgsz"] for options in settings if isinstance(options, dict) and "imgsz" in options), 0)
    imgsz = imgsz[0] if isinstance(imgsz, list) and imgsz else imgsz
    return imgsz if type(imgsz) is int and 0 < imgsz <= MAX_IMGSZ else _DEFAULT_IMGSZ


def _parse_json(text: str) -> Any:
    if len(text) > _MAX_JSON_LENGTH:
        raise ValueError(f"the JSON text has more than {_MAX_JSON_LENGTH:,} characters")
    return json.loads(text)


def _parse_card(text: str) -> ModelCard | None:
    try:
        fields = _parse_json(text)
        card = ModelCard(**{**fields, "names": tuple(fields["names"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (card.model, card.text, card.dialect, *card.names)
    valid = all(isinstance(text, str) for text in texts) and type(card.imgsz) is int
    valid = valid and (card.bit_depth is None or (type(card.bit_depth) is int and 8 <= card.bit_depth <= 16))
    return card if valid and card.names and 0 < card.imgsz <= MAX_IMGSZ else None
