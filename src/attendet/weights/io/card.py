"""What a file of weights says about itself: the network it belongs to, its classes, what is attached."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttentionPlan
from attendet.utils.io import to_json
from attendet.utils.limits import MAX_CLASSES, MAX_IMGSZ
from attendet.weights import Checkpoint
from attendet.weights.align.head_transfer import read_head

USUAL_IMAGE = 640
MOST_PLANS = 100
# Of what is said in JSON, which takes many times its length in memory.
LONGEST_JSON = 2**22

HEAD_KEY = re.compile(r"(.+)\.(anchors|m\.[0-9]+\.(?:weight|bias))", re.DOTALL)


@dataclass(frozen=True)
class Card:
    """What a file of a detector's weights says about itself.

    Attributes:
        model: Name of the model file.
        text: The model file itself.
        dialect: How its attention rows are read.
        names: The classes' names, by number.
        imgsz: Side of the training images in pixels.
    """

    model: str
    text: str
    dialect: str
    names: tuple[str, ...]
    imgsz: int


def card_metadata(card: Card) -> dict[str, str]:
    """Return a card as the metadata of a safetensors file."""
    return {"card": to_json(asdict(card), indent=None)}


def plans_metadata(plans: tuple[AttentionPlan, ...]) -> dict[str, str]:
    """Return what is attached as the metadata of a safetensors file."""
    return {"attention": to_json([plan.to_dict() for plan in plans], indent=None)} if plans else {}


def card_of(checkpoint: Checkpoint, name: str) -> Card | None:
    """Return the card of a file of ours, or what a checkpoint of YOLOv5 says in its own way; None if neither.

    Args:
        checkpoint: The file.
        name: What to call the model file of a YOLOv5 checkpoint.
    """
    if "card" in checkpoint.metadata:
        return _card(checkpoint.metadata["card"])
    if checkpoint.model_file is None:
        return None
    names = checkpoint.names or class_numbers(checkpoint)
    return Card(name, checkpoint.model_file, "auto", names, imgsz_of(checkpoint)) if names else None


def plans_of_file(checkpoint: Checkpoint) -> tuple[AttentionPlan, ...]:
    """Return what was attached to the network of a file.

    Raises:
        OptionError: If what stands there is no plan.
    """
    try:
        values = _parsed(checkpoint.metadata.get("attention", "[]"))
    except (ValueError, RecursionError) as error:
        raise OptionError("what it says of attention is damaged") from error
    if not isinstance(values, list) or len(values) > MOST_PLANS:
        raise OptionError("what it says of attention is damaged")
    return tuple(AttentionPlan.from_dict(value) for value in values)


def class_numbers(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return numbers as names for the classes of a YOLOv5 head; nothing where there is none.

    Example:
        >>> import torch
        >>> row = {"anchors": torch.zeros(1, 3, 2), "m.0.weight": torch.zeros(21, 8, 1, 1), "m.0.bias": torch.zeros(21)}
        >>> head = {f"model.24.{key}": value for key, value in row.items()}
        >>> class_numbers(Checkpoint(head, "state dict", None, None, {}, {}))
        ('0', '1')
    """
    rows: dict[str, dict[str, Tensor]] = {}
    for key, tensor in checkpoint.tensors.items():
        place = HEAD_KEY.fullmatch(key)
        if place:
            rows.setdefault(place[1], {})[place[2]] = tensor
    heads = filter(None, map(read_head, rows.values()))
    return next((tuple(map(str, range(head.num_classes))) for head in heads if head.num_classes <= MAX_CLASSES), ())


def imgsz_of(checkpoint: Checkpoint) -> int:
    """Return the side of the training images that a YOLOv5 checkpoint names, or the usual 640."""
    options: Any = checkpoint.training.get("opt")
    size = options.get("imgsz") if isinstance(options, dict) else None
    size = size[0] if isinstance(size, list) and size else size
    return size if type(size) is int and 0 < size <= MAX_IMGSZ else USUAL_IMAGE


def _parsed(text: str) -> Any:
    if len(text) > LONGEST_JSON:
        raise ValueError(f"it has more than {LONGEST_JSON:,} characters")
    return json.loads(text)


def _card(text: str) -> Card | None:
    try:
        fields = _parsed(text)
        card = Card(**{**fields, "names": tuple(fields["names"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    words = (card.model, card.text, card.dialect, *card.names)
    sound = all(isinstance(word, str) for word in words) and type(card.imgsz) is int
    return card if sound and card.names and 0 < card.imgsz <= MAX_IMGSZ else None
