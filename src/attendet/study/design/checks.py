"""What no single value of a `study.yaml` can be wrong about alone, held at its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attendet.errors import AttendetError, OptionError, nearest_name
from attendet.models.attention_request import parse_request
from attendet.models.bundled import bundled_names
from attendet.study.design.schema import DECIDED, MOST_CELLS, StudyDesign
from attendet.study.statistics.power import least_seeds
from attendet.training.config import TrainConfig, build_config
from attendet.utils.text import plural
from attendet.utils.yaml_nodes import Node


def node_at(root: Node, place: Sequence[int | str]) -> Node:
    """Return the deepest node on the way; steps that short forms leave out are passed over."""
    node = root
    for step in place:
        match node.value:
            case dict() as items if str(step) in items:
                node = items[str(step)]
            case list() as items if isinstance(step, int) and step < len(items):
                node = items[step]
            case _:
                continue
    return node


def check(design: StudyDesign, root: Node) -> None:
    """Hold what no single value can be wrong about alone.

    Raises:
        OptionError: With the place of what is wrong.
    """
    _known_arm(design.baseline, design, node_at(root, ["baseline"]))
    _known_model(design.model, node_at(root, ["model"]))
    _known_settings(design.recipe, ["recipe"], root)
    for name, arm in design.arms.items():
        place = ["arms", name]
        if arm.model:
            _known_model(arm.model, node_at(root, [*place, "model"]))
        if arm.control:
            node = node_at(root, [*place, "control"])
            _known_arm(arm.control, design, node)
            if arm.control in (name, design.baseline):
                raise node.error(
                    f"{arm.control} is no control of {name}", "name another arm than itself and the baseline"
                )
        for number, request in enumerate(arm.attention):
            _known_request(request, node_at(root, [*place, "attention", number]))
        _known_settings(arm.recipe, [*place, "recipe"], root)
    _different(design, root)
    for key, values in (("seeds", design.seeds), ("fractions", design.fractions)):
        if len(set(values)) < len(values):
            raise node_at(root, [key]).error(f"{key} has one twice", "runs that are equal tell nothing new")
    _enough_epochs(design, root)
    if 1 not in design.fractions:
        raise node_at(root, ["fractions"]).error("fractions lacks 1", "all images decide: add 1")
    cells = len(design.arms) * len(design.seeds) * len(design.fractions)
    if cells > MOST_CELLS:
        raise root.error(f"there are {cells:,} runs", f"up to {MOST_CELLS:,} can be told apart in a report")


def _known_arm(name: str, design: StudyDesign, node: Node) -> None:
    if name not in design.arms:
        nearest = nearest_name(name, design.arms)
        raise node.error(f"unknown arm {name!r}", f"did you mean {nearest!r}?" if nearest else listing(design.arms))


def _known_model(model: str, node: Node) -> None:
    if model not in bundled_names() and not model.endswith((".yaml", ".yml")):
        nearest = nearest_name(model, bundled_names())
        remedy = f"did you mean {nearest!r}?" if nearest else "name a bundled model, or a model file ending in .yaml"
        raise node.error(f"unknown model {model!r}", remedy)


def _known_settings(recipe: Mapping[str, object], place: Sequence[str], root: Node) -> None:
    for key, value in recipe.items():
        node = node_at(root, [*place, key])
        if key in DECIDED:
            raise node.error(f"the study decides {key}", f"see {DECIDED[key]}")
        try:
            build_config({"data.path": "data.yaml", key: value})
        except OptionError as error:
            raise node.error(error.message, error.remedy) from error


def _known_request(request: str, node: Node) -> None:
    try:
        parse_request(request)
    except AttendetError as error:
        raise node.error(error.message, error.remedy) from error


def decidable(comparisons: int, node: Node) -> None:
    """Hold that there is a number of seeds that can decide so many comparisons.

    Raises:
        OptionError: If there is none, with the place of what asks for so many.
    """
    try:
        least_seeds(comparisons)
    except OptionError as error:
        raise node.error(error.message, error.remedy) from error


def _enough_epochs(design: StudyDesign, root: Node) -> None:
    """Hold that each run measures the epochs that are averaged; a mean over fewer would be called what it is not."""
    for name in design.arms:
        measured = _measured(build_config(design.settings(name, 0)))
        if design.last_epochs > measured:
            # Unless given it has no place of its own.
            raise node_at(root, ["last_epochs"]).error(
                f"last_epochs is {design.last_epochs}, and {name} is sure to measure {plural(measured, 'epoch')} only",
                f"write last_epochs: {measured} or less, or look at schedule.epochs, schedule.patience and"
                " validation.every_epoch",
            )


def _measured(config: TrainConfig) -> int:
    """Return how many epochs a run measures at least."""
    schedule = config.schedule
    if not config.validation.every_epoch:
        return 1
    # The first epoch may stay the best one.
    return min(schedule.epochs, schedule.patience + 1) if schedule.patience else schedule.epochs


def _different(design: StudyDesign, root: Node) -> None:
    seen: dict[str, str] = {}
    for name in design.arms:
        # By their settings, since an arm that names the base model does nothing else than one that names none.
        settings: dict[str, Any] = design.settings(name, 0)
        told = repr(sorted(settings.items()))
        if told in seen:
            raise node_at(root, ["arms", name]).error(f"it is the same as {seen[told]}", "leave one of them out")
        seen[told] = name


def listing(names: Mapping[str, object]) -> str:
    """Return a remedy that lists the known names."""
    return f"known are {', '.join(names)}"
