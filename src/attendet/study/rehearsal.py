"""Every arm's network is built once before anything is spent, so that a slip of the pen costs a second and no night."""

from __future__ import annotations

from pathlib import Path

from attendet.data.source import open_source
from attendet.engine.config import build_config
from attendet.engine.network import open_network
from attendet.errors import AttendetError, OptionError
from attendet.study.checks import node_at
from attendet.study.design import StudyDesign
from attendet.study.grid import located
from attendet.yaml_nodes import parse, read_text


def rehearse(design: StudyDesign, file: Path) -> None:
    """Build the network of every arm, and let go of it.

    Whether an attention fits its place, whether there is such a place, and what a control is like, only a network can
    tell.

    Args:
        design: The study.
        file: The `study.yaml` that it was read from, for places in it, and relative paths begin beside it.

    Raises:
        OptionError: If there are no data, or an arm cannot be built; with file, row and column.
    """
    root, beside = parse(read_text(file, OptionError), str(file), OptionError), file.parent
    try:
        names = open_source(located(design.data, beside)).names
    except AttendetError as error:
        raise node_at(root, ["data"]).error(f"data: {_told(error)}", error.remedy) from error
    for name in design.arms:
        settings = design.settings(name, design.seeds[0])
        for key in ("model.cfg", "model.weights"):
            if settings[key]:
                settings[key] = located(str(settings[key]), beside)
        try:
            open_network(build_config(settings), names)
        except AttendetError as error:
            # An arm in short is its attention itself; another one without attention is pointed at whole.
            place = node_at(root, ["arms", name, "attention"])
            raise place.error(f"the arm {name} cannot be built: {_told(error)}", error.remedy) from error


def _told(error: AttendetError) -> str:
    return f"{error.where}: {error.what}" if error.where else error.what
