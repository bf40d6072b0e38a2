"""The network of a run: from a model file, from weights, or from both."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from attendet.attention.base import Attention, Start
from attendet.data.records import ImageRecords, scaled_box_sides
from attendet.detection.anchors import best_possible_recall, fit_anchors
from attendet.errors import Location, ModelFileError, OptionError, WeightsError
from attendet.models.attention_request import parse_request
from attendet.models.builder import assemble
from attendet.models.costs import BATCH, count
from attendet.models.detector import Detector
from attendet.models.lint.examination import examine
from attendet.models.planning import plan_model
from attendet.models.readings import attention_readings
from attendet.models.yaml.lookup import load_model_file
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.surgery import AttentionPlan, attach, attached
from attendet.training.config import TrainConfig
from attendet.training.freezing import freeze
from attendet.weights import read_checkpoint
from attendet.weights.io.loading import load_checkpoint, restore_attention
from attendet.weights.io.model_card import ModelCard, stored_attention
from attendet.weights.io.opening import find_card, resolve_weights_path


@dataclass(frozen=True)
class Network:
    """A network and where it comes from.

    Attributes:
        detector: The network.
        file: Its model file.
        dialect: How attention rows were read.
        readings: What they were read as, in words.
        notes: What loading the weights gave.
        trained: Whether most of it came from weights.
        anchored: Whether its anchors are those of the model file or of weights, and not squares to start from.
    """

    detector: Detector
    file: ModelFile
    dialect: str
    readings: tuple[str, ...]
    notes: tuple[str, ...]
    trained: bool = False
    anchored: bool = True

    def card(self, names: tuple[str, ...], imgsz: int) -> ModelCard:
        """Return what files of its weights say about themselves."""
        # A folder of this machine says nothing elsewhere, and a resumed run has it whole.
        return ModelCard(Path(self.file.name).name, self.file.text, self.dialect, names, imgsz)

    def facts(self, imgsz: int) -> dict[str, Any]:
        """Return what a record of a run says about it."""
        with torch.device("meta"):
            images = torch.empty(BATCH, 3, imgsz, imgsz)
        cost, _ = count(copy.deepcopy(self.detector).to("meta"), images)
        attention = [
            row
            for row, module in enumerate(self.detector.model)
            if any(isinstance(m, Attention) for m in module.modules())
        ]
        return {
            "name": self.file.name,
            "parameters": sum(parameter.numel() for parameter in self.detector.parameters()),
            "gflops": cost.flops / BATCH / 1e9,
            "attention_rows": attention,
            "attached": [attachment.plan.to_dict() for attachment in attached(self.detector)],
            "readings": self.readings,
        }


def open_network(config: TrainConfig, names: tuple[str, ...]) -> Network:
    """Return the network that `--cfg`, `--weights` and `--attention` ask for.

    Weights alone bring their own model file, and what was attached to their network. With a model file too, weights
    are taken by structure, and what finds no place is told. Attention starts as an identity where there are weights.

    Raises:
        OptionError: If there is neither a model file nor weights, attention matches nothing, or there is none that
            could be trained before the rest is released.
        ModelFileError: If the model file cannot be built.
        WeightsError: If the weights cannot be read, or nothing of them fits.
    """
    options = config.model
    path = resolve_weights_path(options.weights) if options.weights else None
    checkpoint = read_checkpoint(path) if path else None
    card = find_card(checkpoint, path.name) if checkpoint and path else None
    file, dialect = _model_file(config, card, path)
    # Rows and sites are numbers, which another model file may count otherwise.
    own = card is not None and _is_of(card, file)
    tensors = checkpoint.tensors if checkpoint and own else {}
    plans = stored_attention(checkpoint) if checkpoint else ()
    start: Start = options.start or ("identity" if checkpoint else "paper")
    planned = plan_model(file, num_classes=len(names), dialect=dialect, start=start, checkpoint=tensors)
    detector = assemble(planned)
    notes = [str(finding) for finding in examine(planned)]
    if own and not (options.cfg and options.attention):
        restore_attention(detector, plans, tensors)
    else:
        notes += [_left_out(left, path) for left in plans]
    notes += [_attach(detector, text, start) for text in options.attention]
    if config.optimizer.release_epochs and not any(isinstance(module, Attention) for module in detector.modules()):
        raise OptionError("there is no attention to train before the rest", remedy="give --attention cbam@neck")
    if config.optimizer.release_epochs and options.freeze == "base":
        raise OptionError("what is frozen is never released", remedy="give --freeze base or --release")
    report = None
    if checkpoint is not None:
        anchors = detector.head.anchors.clone()
        report = load_checkpoint(detector, checkpoint, Location(str(path)), names=names)
        notes += [f"{options.weights}: {line}" for line in str(report).splitlines()]
        if options.cfg and isinstance(file.anchors, tuple) and not torch.equal(anchors, detector.head.anchors):
            # They are part of what was asked for.
            with torch.no_grad():
                detector.head.anchors.copy_(anchors)
            notes.append("anchors: those of the model file, not of the weights")
    notes += freeze(detector, options.freeze, report)
    if config.optimizer.release_epochs > config.schedule.epochs:
        notes.append(f"the first rows are never released: that takes {config.optimizer.release_epochs} epochs")
    kept = report.kept if report else ()
    return Network(
        detector,
        file,
        dialect,
        tuple(attention_readings(planned)),
        tuple(notes),
        trained=report is not None and len(kept) > report.total / 2,
        anchored=isinstance(file.anchors, tuple) or any(key.endswith(".anchors") for key in kept),
    )


def _model_file(config: TrainConfig, card: ModelCard | None, path: Path | None) -> tuple[ModelFile, str]:
    """Return the model file, and how its attention rows are read."""
    options = config.model
    if options.cfg:
        return load_model_file(options.cfg), options.dialect
    if path is None:
        raise OptionError("there is neither a model file nor weights", remedy="give --cfg yolov5s_CBAM, or --weights")
    if card is None:
        raise WeightsError(
            "it does not say which model it belongs to", where=Location(str(path)), remedy="give --cfg too"
        )
    return read_model_file(card.text, card.model), card.dialect


def _is_of(card: ModelCard, file: ModelFile) -> bool:
    try:
        return read_model_file(card.text, card.model).makes_the_rows_of(file)
    except ModelFileError:
        return False


def _left_out(plan: AttentionPlan, path: Path | None) -> str:
    return f"{plan.attention} at {', '.join(plan.at)} of {path}'s network is left out (--attention)"


def _attach(detector: Detector, text: str, start: Start) -> str:
    request = parse_request(text)
    options = {"start": start, **request.options}
    side = 2 * int(max(detector.strides))
    attachment = attach(detector, request.attention, request.at, example=torch.zeros(1, 3, side, side), **options)
    places = ", ".join(f"{site.path} ({site.channels} channels)" for site in attachment.sites)
    return f"{request.attention} attached at {places}, start {options['start']}"


@torch.no_grad()
def fit_to_data(network: Network, records: ImageRecords, config: TrainConfig) -> list[str]:
    """Fit the anchors where they fit badly, or only their number is known, and say so.

    Args:
        network: Its anchors are changed in place.
        records: The training images.
        config: When anchors are fitted.

    Returns:
        What was found and done, a sentence each.
    """
    detector, sides = network.detector, scaled_box_sides(records, config.schedule.imgsz)[~records.crowd]
    anchors = detector.head.anchors_in_pixels().double().numpy()
    anchor_t = config.loss.anchor_t
    recall = best_possible_recall(sides, anchors.reshape(-1, 2), anchor_t)
    if not network.anchored:
        recall = 0.0
    elif recall >= config.anchors.least_recall:
        return [f"anchors: {recall:.1%} of the objects can be found with them"]
    elif not config.anchors.fit:
        return [f"anchors: only {recall:.1%} of the objects can be found with them (--noautoanchor)"]
    levels, per_level, _ = anchors.shape
    fitted = fit_anchors(sides, levels, per_level, anchor_t, config.schedule.seed)
    better = best_possible_recall(sides, fitted.reshape(-1, 2), anchor_t)
    if better <= recall:
        return [f"anchors: {recall:.1%} of the objects can be found with them, and no better ones were found"]
    strides = torch.tensor(detector.strides)[:, None, None]
    detector.head.anchors.copy_(torch.from_numpy(fitted).float() / strides)
    return [f"anchors fitted to the data: {better:.1%} of the objects can be found, {recall:.1%} before"]
