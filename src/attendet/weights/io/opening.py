"""Open a weights file as the detector that it belongs to."""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.attention.base import published_values
from attendet.errors import AttendetError, Location, ModelFileError, WeightsError
from attendet.models.builder import build_model
from attendet.models.detector import Detector
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.surgery.attachment import Attachment, attached
from attendet.utils.text import printable
from attendet.weights.align.load_report import LoadReport
from attendet.weights.formats.reader import Checkpoint, read_checkpoint
from attendet.weights.io.card_search import COMPUTED_BUFFERS, find_card
from attendet.weights.io.model_card import ModelCard, stored_attention
from attendet.weights.io.weight_loading import attentions_of, load_checkpoint, restore_attention

# The readings of one model file differ in their numbers of parameters, but not by more than this.
_MAX_RATIO, _MAX_SURPLUS = 3, 1_000_000
# Weights in the folder of a run, by priority.
_RUN_FILES = (("weights", "best.safetensors"), ("weights", "last.safetensors"), ("checkpoint", "last.ckpt"))
_EXPORTED_SUFFIXES = (".onnx", ".xml", ".param", ".pt2", ".pte")
_ROW = re.compile(r"model\.[0-9]+\.")
_BY_ROWS = "its rows load into equal rows of a model file: attendet train --cfg MODEL --weights FILE"
_BY_ACTIVATION = "name it under `activation` in a model file, and train that: attendet train --cfg MODEL --weights FILE"


@dataclass(frozen=True, repr=False)
class OpenedDetector:
    """A detector that was built from a weights file.

    Attributes:
        path: The weights file.
        detector: The detector with its weights, in evaluation mode, on the CPU.
        card: The model file, the class names, and the size of the training images.
    """

    path: Path
    detector: Detector
    card: ModelCard

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their indices."""
        return self.card.names

    @property
    def imgsz(self) -> int:
        """Side of the training images in pixels."""
        return self.card.imgsz

    @property
    def bit_depth(self) -> int:
        """Number of bits of the values in images with 16 bits per channel, as in training; 16 if it is unknown."""
        return self.card.bit_depth or 16

    @property
    def attention(self) -> tuple[Attachment, ...]:
        """The attention that is attached to the detector; rows of its model file are not included."""
        return attached(self.detector)

    def to_dict(self) -> dict[str, Any]:
        """Return path, model, class names, image size, and attached attention as plain values, ready for JSON."""
        return {
            "path": str(self.path),
            "model": self.card.model,
            "names": list(self.names),
            "imgsz": self.imgsz,
            "attention": [attachment.plan.to_dict() for attachment in self.attention],
        }

    def __repr__(self) -> str:
        attention = "".join(f", attention={place!r}" for place in self._attention_places())
        return (
            f"{type(self).__name__}({str(self.path)!r}, model={self.card.model!r}, "
            f"num_classes={len(self.names)}, imgsz={self.imgsz}{attention})"
        )

    def _repr_html_(self) -> str:
        """Return the description as a table for a notebook."""
        rows = {
            "weights": str(self.path),
            "model": self.card.model,
            "classes": ", ".join(self.names),
            "imgsz": f"{self.imgsz} pixels",
            "attention": "; ".join(self._attention_places()) or "none attached",
        }
        cells = (f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table>{''.join(cells)}</table>"

    def _attention_places(self) -> list[str]:
        return [
            f"{attachment.plan.attention} at {', '.join(site.path for site in attachment.sites)}"
            for attachment in self.attention
        ]


def open(path: str | os.PathLike[str]) -> OpenedDetector:  # noqa: A001 - called as attendet.open
    """Build the detector of a weights file, with its weights and its attached attention.

    No code in the file is run, regardless of its format.

    Args:
        path: A run's folder, a file that `attendet train` or `save_weights` wrote, a checkpoint of the original YOLOv5,
            YOLOv8, or YOLO11, or the state dict of a bundled model.

    Returns:
        The detector in evaluation mode, its class names, the size of its training images in pixels, and its attention.

    Raises:
        WeightsError: If the file cannot be read, its model is unknown, tensors of the model are missing, or its pickled
            model has activations that its model file does not name.

    Example:
        >>> import attendet, tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(attendet.build("yolov5n", num_classes=2).state_dict(), Path(folder, "cells.pt"))
        ...     opened = attendet.open(Path(folder, "cells.pt"))
        >>> opened.names, opened.imgsz, opened.attention
        (('0', '1'), 640, ())
        >>> levels = opened.detector(torch.zeros(1, 3, 64, 64))
        >>> [tuple(level.shape) for level in levels]
        [(1, 3, 8, 8, 7), (1, 3, 4, 4, 7), (1, 3, 2, 2, 7)]
    """
    path = resolve_weights_path(path)
    return open_checkpoint(read_checkpoint(path), path)


def open_checkpoint(checkpoint: Checkpoint, path: Path) -> OpenedDetector:
    """Build the detector of a weights file that has been read, as `open` does.

    Args:
        checkpoint: Content of the file.
        path: The file.

    Raises:
        WeightsError: As in `open`.
    """
    where = Location(str(path))
    card = find_card(checkpoint, path.name)
    if card is None:
        raise _nameless(checkpoint, where)
    file = read_card(card, checkpoint, where)
    try:
        require_values(plan_model(file, num_classes=len(card.names), dialect=card.dialect), checkpoint)
        built = build_model(file, len(card.names), dialect=card.dialect, checkpoint=checkpoint.tensors)
        detector = built.detector
        restore_attention(detector, stored_attention(checkpoint), checkpoint.tensors)
    except AttendetError as error:
        raise _unbuildable(checkpoint, where, error) from error
    report = load_checkpoint(detector, checkpoint, where, names=card.names)
    supplied = _supplied_keys(detector)
    missing = [key for key in report.new if key not in supplied]
    unused = [key for key in report.dropped if not key.endswith(COMPUTED_BUFFERS)]
    if missing or report.reshaped or unused:
        summary = str(report).replace("\n", "; ")
        raise WeightsError(f"the tensors do not match the model {card.model}: {summary}", where=where)
    require_activations(report, where)
    return OpenedDetector(path, detector.train(False), card)


def require_values(plan: ModelPlan, checkpoint: Checkpoint) -> None:
    """Raise an error if a file has far fewer values than the model it describes, before memory is taken for the model.

    Args:
        plan: The plan of the model file in the weights file.
        checkpoint: Content of the weights file.

    Raises:
        WeightsError: If the model has more than three times as many parameters, and a million.
    """
    parameters = sum(row.parameters for row in plan.rows)
    values = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    if parameters > _MAX_RATIO * values + _MAX_SURPLUS:
        limit = f"{_MAX_RATIO} parameters per value and {_MAX_SURPLUS:,} more are the limit"
        raise WeightsError(f"it has {parameters:,} parameters, but the file only {values:,} values ({limit})")


def read_card(card: ModelCard, checkpoint: Checkpoint, where: Location) -> ModelFile:
    """Return the model file in a model card.

    Args:
        card: The card.
        checkpoint: Content of the weights file.
        where: The weights file, for error messages.

    Raises:
        WeightsError: If the model file is invalid.
    """
    try:
        file = read_model_file(card.text, card.model)
    except AttendetError as error:
        raise _unbuildable(checkpoint, where, error) from error
    return file


def require_activations(report: LoadReport, where: Location) -> None:
    """Raise an error if weights of a detector were trained with other activations than it has.

    Args:
        report: Result of loading the weights.
        where: The weights file, for error messages.
    """
    if report.activations:
        path, kind = report.activations[0]
        message = f"the model of the file has {printable(kind)} at {path}, but its model file does not"
        raise WeightsError(message, where=where, remedy=_BY_ACTIVATION)


def _nameless(checkpoint: Checkpoint, where: Location) -> WeightsError:
    has_rows = any(_ROW.match(key) for key in checkpoint.tensors)
    by_model_file = "pass the model file, too: attendet train --cfg MODEL --weights FILE"
    by_network = "load the weights into their network in Python: attendet.load_weights(network, FILE)"
    message = "the file does not name its model, and no bundled model has its tensors"
    return WeightsError(message, where=where, remedy=by_model_file if has_rows else by_network)


def _unbuildable(checkpoint: Checkpoint, where: Location, error: AttendetError) -> WeightsError:
    model = f"the model of the file ({checkpoint.module_class})" if checkpoint.module_class else "the model of the file"
    return WeightsError(
        f"{model} cannot be built: {error}",
        where=where,
        remedy=_BY_ROWS if isinstance(error, ModelFileError) and checkpoint.module_class else None,
    )


def _supplied_keys(detector: Detector) -> set[str]:
    """Return the keys of tensors that a file may lack, because their values in a new detector are right.

    Attention without weights, such as SimAM, leaves no trace in a file of another project; old files have no counters
    of batches.
    """
    attentions = attentions_of(detector)
    published = {f"{path}.{key}" for path, attention in attentions.items() for key in published_values(attention)}
    return published | {key for key in detector.state_dict() if key.endswith(".num_batches_tracked")}


def resolve_weights_path(path: str | os.PathLike[str]) -> Path:
    """Return the weights file that a path refers to: the path itself, or the best weights in a run's folder.

    A run that was not validated yet has no best weights; its last weights, or those in its checkpoint, are used.

    Raises:
        WeightsError: If the path is a folder without weights, or an exported file.

    Example:
        >>> resolve_weights_path("best.safetensors").name
        'best.safetensors'
    """
    if Path(path).suffix.lower() in _EXPORTED_SUFFIXES:
        message = "an exported file is read by its own runtime, and has no weights for torch"
        raise WeightsError(message, where=Location(os.fspath(path)), remedy="name the weights that were exported")
    if not Path(path).is_dir():
        return Path(path)
    files = [Path(path, *parts) for parts in _RUN_FILES]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        message = f"the folder has no {'/'.join(_RUN_FILES[0])}"
        raise WeightsError(message, where=Location(os.fspath(path)), remedy="name a weights file or a run's folder")
    return found
