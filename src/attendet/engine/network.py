"""The network of a run: from a model file, from weights, or from both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from attendet.attention.base import Attention
from attendet.data.module import objects_at
from attendet.data.records import Records
from attendet.detection.anchors import best_possible_recall, fit_anchors
from attendet.engine.config import TrainConfig
from attendet.errors import OptionError
from attendet.graph.build import assemble
from attendet.graph.costs import count_costs, total
from attendet.graph.detector import Detector
from attendet.graph.examine import examine
from attendet.graph.files import load
from attendet.graph.plan import plan
from attendet.graph.readings import attention_readings
from attendet.graph.spec import ModelFile, read_model_file
from attendet.graph.weights import Card, load_matching, read_weights, weights_file


@dataclass(frozen=True)
class Network:
    """A network and where it comes from.

    Attributes:
        detector: The network.
        file: Its model file.
        dialect: How attention rows were read.
        readings: What they were read as, in words.
        notes: What loading the weights gave.
    """

    detector: Detector
    file: ModelFile
    dialect: str
    readings: tuple[str, ...]
    notes: tuple[str, ...]

    def card(self, names: tuple[str, ...], image_size: int) -> Card:
        """Return what files of its weights say about themselves."""
        return Card(self.file.name, self.file.text, self.dialect, names, image_size)

    def facts(self, image_size: int) -> dict[str, Any]:
        """Return what a record of a run says about it."""
        state = self.detector.state_dict()
        classes = self.detector.classes
        planned = plan(self.file, classes=classes, dialect=self.dialect, checkpoint=state, image_size=image_size)
        attention = [
            row
            for row, module in enumerate(self.detector.model)
            if any(isinstance(m, Attention) for m in module.modules())
        ]
        return {
            "name": self.file.name,
            "parameters": sum(parameter.numel() for parameter in self.detector.parameters()),
            "gflops": total(count_costs(planned)).flops / 1e9,
            "attention_rows": attention,
            "readings": self.readings,
        }


def open_network(config: TrainConfig, names: tuple[str, ...]) -> Network:
    """Return the network that `--cfg` and `--weights` ask for.

    Weights alone bring their own model file. With a model file too, values are taken where key and shape agree, and
    what does not fit is told.

    Raises:
        OptionError: If neither is given, or no value of the weights fits.
        ModelFileError: If the model file cannot be built.
        WeightsError: If the weights cannot be read.
    """
    options = config.model
    state, card = read_weights(weights_file(options.weights)) if options.weights else ({}, None)
    if not options.cfg and card is None:
        raise OptionError("there is neither a model file nor weights", remedy="give --cfg yolov5s_CBAM, or --weights")
    file = load(options.cfg) if options.cfg else read_model_file(card.text, card.model) if card else None
    if file is None:
        raise TypeError(card)
    dialect = card.dialect if card and not options.cfg else options.dialect
    planned = plan(file, classes=len(names), dialect=dialect, start=options.start, checkpoint=state)
    detector = assemble(planned)
    notes = [str(finding) for finding in examine(planned)]
    if card is not None:
        if options.cfg:
            # The model file's anchors are part of what was asked for.
            state = {key: value for key, value in state.items() if not key.endswith(".anchors")}
        alignment = load_matching(detector, state)
        if not alignment.loaded:
            raise OptionError(
                f"nothing in {options.weights} fits {file.name}: {alignment}", remedy="leave out --cfg or --weights"
            )
        notes.append(f"{options.weights}: {alignment}")
    _freeze(detector, options.freeze)
    return Network(detector, file, dialect, tuple(attention_readings(planned)), tuple(notes))


@torch.no_grad()
def fit_to_data(network: Network, records: Records, config: TrainConfig) -> list[str]:
    """Fit the anchors where they fit badly, or the model file gives their number alone, and say so.

    Args:
        network: Its anchors are changed in place.
        records: The training images.
        config: When anchors are fitted.

    Returns:
        What was found and done, a sentence each.
    """
    detector, sides = network.detector, objects_at(records, config.schedule.imgsz)
    anchors = detector.head.anchors_in_pixels().double().numpy()
    anchor_t = config.loss.anchor_t
    recall = best_possible_recall(sides, anchors.reshape(-1, 2), anchor_t)
    if isinstance(network.file.anchors, int) and not config.model.weights:
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


def _freeze(detector: Detector, rows: tuple[int, ...]) -> None:
    for row in rows:
        if row >= len(detector.model):
            raise OptionError(f"there is no row {row} to freeze", remedy=f"rows go from 0 to {len(detector.model) - 1}")
        detector.model[row].requires_grad_(requires_grad=False)
    if not any(parameter.requires_grad for parameter in detector.parameters()):
        raise OptionError("every row is frozen, and nothing is left to train", remedy="freeze fewer")
