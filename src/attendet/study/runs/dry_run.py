"""Every arm's network is built once before anything is spent, so that a slip of the pen costs a second and no night."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from attendet.data.reading import data_source
from attendet.errors import AttendetError, OptionError
from attendet.study.design.checks import node_at
from attendet.study.design.grid import Cell
from attendet.study.runs.execution import Study
from attendet.training.config import build_config
from attendet.training.network import open_network
from attendet.utils.yaml_nodes import parse, read_yaml_text


def dry_run_arms(study: Study, file: Path) -> None:
    """Build the network of every arm, and let go of it.

    Whether an attention fits its place, whether there is such a place, and what a control is like, only a network can
    tell.

    Args:
        study: The study.
        file: The `study.yaml` that it was read from, for places in it.

    Raises:
        OptionError: If there are no data, or an arm cannot be built; with file, row and column.
    """
    root, design = parse(read_yaml_text(file, OptionError), str(file), OptionError), study.design
    # Arms share their data, and a large COCO file takes a while to read.
    opened = cache(data_source.open)
    for name in design.arms:
        config = build_config(study.job(Cell(name, design.seeds[0], 1.0, "")).settings)
        try:
            source = opened(config.data.path, config.data.format)
        except AttendetError as error:
            raise node_at(root, ["data"]).error(f"data: {_told(error)}", error.remedy) from error
        try:
            # As training takes the classes.
            open_network(config, ("object",) if config.data.single_cls else source.names)
        except AttendetError as error:
            # An arm in short is its attention itself; another one without attention is pointed at whole.
            place = node_at(root, ["arms", name, "attention"])
            raise place.error(f"the arm {name} cannot be built: {_told(error)}", error.remedy) from error


def _told(error: AttendetError) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message
