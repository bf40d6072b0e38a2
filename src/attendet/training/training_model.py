"""Build the detector of a run from a model file, from weights, or from both, and fit its head to the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Start
from attendet.data.box_sides import scaled_box_sides
from attendet.data.records import ImageRecords
from attendet.detection.anchors import AnchorFitting
from attendet.errors import Location, ModelFileError, OptionError, WeightsError
from attendet.models.attention_request import parse_request
from attendet.models.builder import build_model
from attendet.models.costs import count_network
from attendet.models.detector import Detector
from attendet.models.planning import plan_model
from attendet.models.resolution import resolve_readings
from attendet.models.yaml.lookup import load_model_file
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.surgery import attach, attached
from attendet.training.config import TrainConfig
from attendet.training.freezing import freeze
from attendet.weights import Checkpoint, read_checkpoint
from attendet.weights.io.card_search import find_card
from attendet.weights.io.model_card import ModelCard, stored_attention
from attendet.weights.io.opening import read_card, require_activations, require_values, resolve_weights_path
from attendet.weights.io.parameter_counts import read_like
from attendet.weights.io.weight_loading import load_checkpoint, restore_attention


@dataclass(frozen=True)
class TrainingModel:
    """The detector of a run and its origin.

    Attributes:
        detector: The detector, with weights and attached attention.
        file: Its model file.
        dialect: Dialect in which the attention rows were read.
        readings: One sentence about the reading of each attention row.
        notes: Sentences about the model file, attached attention, loaded weights, and frozen rows.
        pretrained: Whether most of its tensors came from weights.
        has_placeholders: Whether its anchors are placeholders, because neither the model file nor weights have others.
    """

    detector: Detector
    file: ModelFile
    dialect: str
    readings: tuple[str, ...]
    notes: tuple[str, ...]
    pretrained: bool = False
    has_placeholders: bool = False

    def card(self, names: tuple[str, ...], imgsz: int, bit_depth: int | None = None) -> ModelCard:
        """Return the model card for files with the weights of the run."""
        # Only the name of the model file, because folders of this machine are meaningless on another one.
        return ModelCard(Path(self.file.name).name, self.file.text, self.dialect, names, imgsz, bit_depth)

    def to_record(self, imgsz: int) -> dict[str, Any]:
        """Return the description of the model in the record of a run.

        Args:
            imgsz: Side of the images in pixels for which GFLOPs are counted.
        """
        attention = [
            row
            for row, module in enumerate(self.detector.model)
            if any(isinstance(child, Attention) for child in module.modules())
        ]
        return {
            "name": self.file.name,
            "parameters": sum(parameter.numel() for parameter in self.detector.parameters()),
            "gflops": count_network(self.detector, imgsz).flops / 1e9,
            "attention_rows": attention,
            "attached": [attachment.plan.to_dict() for attachment in attached(self.detector)],
            "readings": self.readings,
        }


def build_training_model(config: TrainConfig, names: tuple[str, ...]) -> TrainingModel:
    """Build the detector that a configuration describes (`--cfg`, `--weights`, and `--attention`).

    Without a model file, the model file in the weights is used, and the attention that was attached to their network is
    attached again. With a model file, weights are matched by structure, and tensors that do not fit are noted. New
    attention starts as an identity if there are weights.

    Args:
        config: The configuration of the run.
        names: Class names in the order of their indices.

    Raises:
        OptionError: If there is neither a model file nor weights, a request for attention matches nothing, or rows are
            to be released after attention although there is no attention or the base is frozen.
        ModelFileError: If the model file cannot be built.
        WeightsError: If the weights cannot be read, or no tensor fits.
    """
    options = config.model
    path = resolve_weights_path(options.weights) if options.weights else None
    checkpoint = read_checkpoint(path) if path else None
    card = find_card(checkpoint, path.name) if checkpoint and path else None
    file, dialect = _model_file(config, checkpoint, card, path)
    choices: list[str] = []
    if options.like:
        resolution = resolve_readings(file, read_like(options.like), num_classes=len(names), dialect=dialect)
        file, choices = resolution.file, [*resolution.choices, *map(str, resolution.findings)]
    # Weights describe attention by row numbers and paths, which are valid only for their own model file.
    same_model = card is not None and _has_rows_of(card, file)
    tensors = checkpoint.tensors if checkpoint and same_model else {}
    plans = stored_attention(checkpoint) if checkpoint else ()
    start: Start = options.start or ("identity" if checkpoint else "paper")
    if checkpoint and path and not options.cfg:
        _require_values(file, len(names), dialect, checkpoint, path)
    built = build_model(file, len(names), dialect=dialect, start=start, checkpoint=tensors)
    detector = built.detector
    # Before any work, because the settings of another family's loss are a mistake.
    config.loss.options_for(detector.head, config.schedule.imgsz)
    notes = [*choices, *(str(finding) for finding in built.findings())]
    if same_model and not (options.cfg and options.attention):
        restore_attention(detector, plans, tensors)
    else:
        notes += [f"not attached: {plan.attention} at {', '.join(plan.at)}, as in {path}" for plan in plans]
    notes += [_attach(detector, text, start) for text in options.attention]
    if config.optimizer.release_epochs and not any(isinstance(module, Attention) for module in detector.modules()):
        raise OptionError(
            "`release_epochs` needs attention, but the model has no attention",
            remedy="attach some: --attention cbam@neck",
        )
    if config.optimizer.release_epochs and options.freeze == "base":
        raise OptionError("a frozen base cannot be released later", remedy="use either --freeze base or --release")
    report = None
    if checkpoint is not None:
        of_file = {name: buffer.clone() for name, buffer in detector.head.named_buffers(recurse=False)}
        where = Location(str(path))
        report = load_checkpoint(detector, checkpoint, where, names=names)
        if not options.cfg:
            require_activations(report, where)
        notes += [f"{options.weights}: {line}" for line in str(report).splitlines()]
        if options.cfg and isinstance(file.anchors, tuple):
            # The model file was requested, and the constants of the head, such as anchors, are part of it.
            replaced = _replace_buffers(detector.head, of_file)
            notes += [f"{name}: taken from the model file, not from the weights" for name in replaced]
    notes += freeze(detector, options.freeze, report)
    if config.optimizer.release_epochs > config.schedule.epochs:
        notes.append(f"the first rows are not released: releasing all takes {config.optimizer.release_epochs} epochs")
    kept = report.kept if report else ()
    return TrainingModel(
        detector,
        file,
        dialect,
        tuple(map(str, built.attention_readings())),
        tuple(notes),
        pretrained=report is not None and len(kept) > report.total / 2,
        has_placeholders=isinstance(file.anchors, int) and not any(key.endswith(".anchors") for key in kept),
    )


def _model_file(
    config: TrainConfig, checkpoint: Checkpoint | None, card: ModelCard | None, path: Path | None
) -> tuple[ModelFile, str]:
    """Return the model file, and the dialect in which its attention rows are read."""
    options = config.model
    if options.cfg:
        return load_model_file(options.cfg), options.dialect
    if path is None or checkpoint is None:
        raise OptionError("a model file or weights are required", remedy="pass --cfg yolov5s_CBAM or --weights")
    where = Location(str(path))
    if card is None:
        raise WeightsError("the file does not name its model", where=where, remedy="pass --cfg, too")
    return read_card(card, checkpoint, where), card.dialect


def _require_values(file: ModelFile, num_classes: int, dialect: str, checkpoint: Checkpoint, path: Path) -> None:
    """Raise an error if the weights have far fewer values than their own model file needs."""
    try:
        require_values(plan_model(file, num_classes=num_classes, dialect=dialect), checkpoint)
    except WeightsError as error:
        message = f"the model of the file cannot be built: {error.message}"
        raise WeightsError(message, where=Location(str(path))) from error


def _has_rows_of(card: ModelCard, file: ModelFile) -> bool:
    """Return whether the model file of a card makes the same rows as another model file."""
    try:
        return read_model_file(card.text, card.model).has_rows_of(file)
    except ModelFileError:
        return False


@torch.no_grad()
def _replace_buffers(module: nn.Module, values: Mapping[str, Tensor]) -> list[str]:
    """Give the buffers of a module other values, and return the names of the changed buffers."""
    changed = [name for name, value in values.items() if not torch.equal(module.get_buffer(name), value)]
    for name in changed:
        module.get_buffer(name).copy_(values[name])
    return changed


def _attach(detector: Detector, text: str, start: Start) -> str:
    """Attach the attention of a request such as `cbam@neck`, and return a sentence about it."""
    request = parse_request(text)
    options = {"start": start, **request.options}
    side = 2 * int(max(detector.strides))
    attachment = attach(detector, request.attention, request.at, example=torch.zeros(1, 3, side, side), **options)
    places = ", ".join(f"{site.path} ({site.channels} channels)" for site in attachment.sites)
    return f"{request.attention} attached at {places}, start {options['start']}"


def fit_head_to_data(model: TrainingModel, records: ImageRecords, config: TrainConfig) -> list[str]:
    """Adapt the constants of the head to the boxes of the training images: anchors if their recall is too low.

    Args:
        model: The model; the constants of its head are changed in place.
        records: The training images.
        config: The image size, and the settings of anchors and loss.

    Returns:
        A sentence about the recall and the new anchors; none if the head has no anchors.
    """
    head, imgsz = model.detector.head, config.schedule.imgsz
    sides = scaled_box_sides(records, imgsz)[~records.crowd]
    fitting = AnchorFitting(
        config.anchors.min_recall, config.anchors.fit, model.has_placeholders, seed=config.schedule.seed
    )
    sentence = head.fit_to(sides, config.loss.options_for(head, imgsz), fitting)
    return [] if sentence is None else [sentence]
