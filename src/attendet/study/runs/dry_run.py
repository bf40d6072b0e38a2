"""Build every arm's network once before any run starts, so that a typing error costs a second instead of a night."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from attendet.data.reading import data_source
from attendet.errors import AttendetError, OptionError
from attendet.study.design.checks import node_at
from attendet.study.design.grid import Cell
from attendet.study.runs.execution import Study
from attendet.training.config import build_config
from attendet.training.training_model import build_training_model
from attendet.utils.yaml_nodes import parse, read_yaml_text


def dry_run_arms(study: Study, file: Path) -> None:
    """Build the network of every arm and discard it.

    Only a network can show whether a place exists, and whether the attention or control fits there.

    Args:
        study: The study.
        file: The study.yaml of the study, for locations in error messages.

    Raises:
        OptionError: If the data set cannot be opened or an arm cannot be built, with file, row, and column.
    """
    root, design = parse(read_yaml_text(file, OptionError), str(file), OptionError), study.design
    # Arms share their data set, and a large COCO file takes long to read.
    opened = cache(data_source.open)
    for name in design.arms:
        config = build_config(study.job(Cell(name, design.seeds[0], 1.0, "")).settings)
        try:
            source = opened(config.data.path, config.data.format)
        except AttendetError as error:
            raise node_at(root, ["data"]).error(f"data: {_located_message(error)}", error.remedy) from error
        try:
            # The same class names as in training.
            build_training_model(config, ("object",) if config.data.single_cls else source.names)
        except AttendetError as error:
            # For the short form of an arm this is the node of the arm itself.
            place = node_at(root, ["arms", name, "attention"])
            raise place.error(f"the arm {name} cannot be built: {_located_message(error)}", error.remedy) from error


def _located_message(error: AttendetError) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message
