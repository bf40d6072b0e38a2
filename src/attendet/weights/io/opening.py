"""A file of weights → the detector it belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from attendet.errors import AttendetError, Location, WeightsError
from attendet.models.builder import assemble
from attendet.models.bundled import bundled_names, bundled_text
from attendet.models.detector import Detector
from attendet.models.planning import plan_model
from attendet.models.yaml.model_file import read_model_file
from attendet.weights import Checkpoint, read_checkpoint
from attendet.weights.io.card import Card, card_of, class_numbers, imgsz_of, plans_of_file
from attendet.weights.io.loading import attach_again, load_checkpoint

# Of old YOLOv5 checkpoints: what the head computes from its anchors.
COMPUTED = ("anchor_grid",)


def open_detector(path: str | os.PathLike[str]) -> tuple[Detector, Card]:
    """Return the network of a file of weights, in evaluation mode, and what the file says about itself.

    Args:
        path: A file that `attendet train` wrote, a checkpoint of the original YOLOv5, or the state dict of a bundled
            model.

    Raises:
        WeightsError: If it cannot be read, does not say to which network it belongs, or has not all of its tensors.

    Example:
        >>> import attendet, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(attendet.build("yolov5n", num_classes=2).state_dict(), Path(folder, "cells.pt"))
        ...     detector, card = open_detector(Path(folder, "cells.pt"))
        >>> card.model, card.names
        ('yolov5n', ('0', '1'))
    """
    where = Location(os.fspath(path))
    checkpoint = read_checkpoint(path)
    card = find_card(checkpoint, Path(path).name)
    if card is None:
        raise WeightsError(
            "it does not say which model it belongs to, and no bundled one has its tensors",
            where=where,
            remedy="give the model file too: attendet train --cfg MODEL --weights FILE",
        )
    try:
        file = read_model_file(card.text, card.model)
        detector = assemble(
            plan_model(file, num_classes=len(card.names), dialect=card.dialect, checkpoint=checkpoint.tensors)
        )
        attach_again(detector, plans_of_file(checkpoint), checkpoint.tensors)
    except AttendetError as error:
        raise WeightsError(f"its model cannot be made: {error}", where=where) from error
    report = load_checkpoint(detector, checkpoint, where, names=card.names)
    left = [key for key in report.dropped if not key.endswith(COMPUTED)]
    if report.new or report.reshaped or left:
        told = str(report).replace("\n", "; ")
        raise WeightsError(f"its tensors are not those of {card.model}: {told}", where=where)
    return detector.train(False), card


def find_card(checkpoint: Checkpoint, name: str) -> Card | None:
    """Return what a file says about itself, or else what the bundled model says that has exactly its tensors.

    Args:
        checkpoint: The file.
        name: What to call a model file in it that is none of the bundled ones.
    """
    if "card" in checkpoint.metadata:
        return card_of(checkpoint, name)
    names = checkpoint.names or class_numbers(checkpoint)
    tensors = {key: value for key, value in checkpoint.tensors.items() if not key.endswith(COMPUTED)}
    found = next((model for model in bundled_names() if names and _fits(model, len(names), tensors)), None)
    card = card_of(checkpoint, found or name)
    if card is None and found:
        return Card(found, bundled_text(found), "auto", names, imgsz_of(checkpoint))
    return card


def weights_file(path: str | os.PathLike[str]) -> Path:
    """Return the file of weights that a path names: itself, or the best ones in the folder of a run.

    Raises:
        WeightsError: If it is a folder without them.

    Example:
        >>> weights_file("best.safetensors").name
        'best.safetensors'
    """
    if not Path(path).is_dir():
        return Path(path)
    best = Path(path, "weights", "best.safetensors")
    if not best.is_file():
        raise WeightsError(
            "the folder has no weights/best.safetensors",
            where=Location(os.fspath(path)),
            remedy="name a file of weights or a run's folder",
        )
    return best


def _fits(model: str, classes: int, tensors: Mapping[str, Tensor]) -> bool:
    text = bundled_text(model)
    with torch.device("meta"):
        state = assemble(plan_model(read_model_file(text, model), num_classes=classes)).state_dict()
    return state.keys() == tensors.keys() and all(state[key].shape == value.shape for key, value in tensors.items())
