"""Checks of a study's design that involve several values, with row and column in every error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attendet.errors import AttendetError, OptionError, misspelled_name, nearest_name
from attendet.models.attention_request import parse_request
from attendet.models.bundled import bundled_names
from attendet.study.design.schema import DECIDED_BY_STUDY, MAX_RUNS, StudyDesign
from attendet.training.config import TrainConfig, build_config
from attendet.utils.text import plural, short_repr
from attendet.utils.yaml_nodes import Node


def node_at(root: Node, place: Sequence[int | str]) -> Node:
    """Return the deepest existing node on a path. Steps that a short form omits are skipped."""
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


def check_design(design: StudyDesign, root: Node) -> None:
    """Check arms, models, settings, seeds, and fractions of a design against each other.

    Raises:
        OptionError: If the design is invalid, with row and column.
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
                    f"the control of {name} must be an arm other than itself and the baseline, got {arm.control}",
                    "name another arm",
                )
        for number, request in enumerate(arm.attention):
            _known_request(request, node_at(root, [*place, "attention", number]))
        _known_settings(arm.recipe, [*place, "recipe"], root)
    _different(design, root)
    for key, values in (("seeds", design.seeds), ("fractions", design.fractions)):
        if len(set(values)) < len(values):
            raise node_at(root, [key]).error(f"{key} must not contain a value twice", "remove the duplicate")
    _ascending_looks(design, root)
    _enough_epochs(design, root)
    if 1 not in design.fractions:
        raise node_at(root, ["fractions"]).error("fractions must contain 1, all images, which decides", "add 1")
    cells = len(design.arms) * len(design.seeds) * len(design.fractions)
    if cells > MAX_RUNS:
        raise root.error(f"a study must have at most {MAX_RUNS:,} runs, got {cells:,}", "use fewer arms or seeds")


def _known_arm(name: str, design: StudyDesign, node: Node) -> None:
    if name not in design.arms:
        nearest = nearest_name(name, design.arms)
        raise node.error(
            f"unknown arm {short_repr(name)}", f"did you mean {nearest!r}?" if nearest else known_names(design.arms)
        )


def _known_model(model: str, node: Node) -> None:
    if model not in bundled_names() and not model.endswith((".yaml", ".yml")):
        nearest = misspelled_name(model, bundled_names())
        remedy = f"did you mean {nearest!r}?" if nearest else "name a bundled model, or a model file ending in .yaml"
        raise node.error(f"unknown model {short_repr(model)}", remedy)


def _known_settings(recipe: Mapping[str, object], place: Sequence[str], root: Node) -> None:
    for key, value in recipe.items():
        node = node_at(root, [*place, key])
        if key in DECIDED_BY_STUDY:
            remedy = "use fraction" if key == "data.fraction" and place[0] == "arms" else f"use {DECIDED_BY_STUDY[key]}"
            raise node.error(f"the study itself sets {key}", remedy)
        try:
            build_config({"data.path": "data.yaml", key: value})
        except OptionError as error:
            raise node.error(error.message, error.remedy) from error


def _known_request(request: str, node: Node) -> None:
    try:
        parse_request(request)
    except AttendetError as error:
        raise node.error(error.message, error.remedy) from error


def _ascending_looks(design: StudyDesign, root: Node) -> None:
    looks = design.looks
    if looks and (list(looks) != sorted(set(looks)) or looks[-1] != len(design.seeds)):
        raise node_at(root, ["looks"]).error(
            f"looks must ascend to the number of seeds, {len(design.seeds)}, got {list(looks)}",
            f"end with {len(design.seeds)}",
        )


def _enough_epochs(design: StudyDesign, root: Node) -> None:
    """Require that each run validates at least the epochs that are averaged."""
    for name in design.arms:
        measured = _measured(build_config(design.settings(name, 0)))
        if design.last_epochs > measured:
            raise node_at(root, ["last_epochs"]).error(
                f"last_epochs must be at most {measured}, got {design.last_epochs}: {name} is certain to validate only"
                f" {plural(measured, 'epoch')}",
                "lower last_epochs, or change schedule.epochs, schedule.patience, or validation.every_epoch",
            )


def _measured(config: TrainConfig) -> int:
    """Return the number of epochs that a run validates at least."""
    schedule = config.schedule
    if not config.validation.every_epoch:
        return 1
    # The first epoch may remain the best one.
    return min(schedule.epochs, schedule.patience + 1) if schedule.patience else schedule.epochs


def _different(design: StudyDesign, root: Node) -> None:
    seen: dict[str, str] = {}
    for name in design.arms:
        # Compare settings, because an arm that names the base model is the same as an arm without a model.
        settings: dict[str, Any] = design.settings(name, 0)
        identity = repr(sorted(settings.items()))
        if identity in seen:
            raise node_at(root, ["arms", name]).error(
                f"arms must differ, got {name} equal to {seen[identity]}", "remove one of them"
            )
        seen[identity] = name


def known_names(names: Mapping[str, object]) -> str:
    """Return a remedy that lists the known names."""
    return f"known are {', '.join(names)}"
